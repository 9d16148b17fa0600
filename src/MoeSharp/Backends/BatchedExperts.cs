using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>All experts at once, each on as many rows as the others.</summary>
internal sealed class BatchedExperts(Func<Tensor, Tensor, Tensor> activation)
{
    /// <summary>The outputs [E, N, D] of inputs [E, N, D], or of the same inputs [1, N, D] for every expert.</summary>
    public Tensor Run(Tensor inputs, Experts experts)
    {
        var type = inputs.dtype;
        var hidden = activation(
            Project(inputs, experts.Gate.to(type), experts.GateBias?.to(type)),
            Project(inputs, experts.Up.to(type), experts.UpBias?.to(type)));                        // [E, N, H]
        return Project(hidden, experts.Down.to(type), experts.DownBias?.to(type));
    }

    private static Tensor Project(Tensor inputs, Tensor weight, Tensor? bias)
    {
        var products = matmul(inputs, weight.transpose(1, 2));                                      // [E, N, outputs]
        return bias is null ? products : products + bias.unsqueeze(1);
    }
}
