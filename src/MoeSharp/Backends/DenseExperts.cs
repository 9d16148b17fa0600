using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Every expert on every token, then a sum with the weight of the chosen ones: the oracle, E / K times the work.</summary>
internal sealed class DenseExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo) : IExpertCompute
{
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "dense";

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        using var step = Telemetry.Step("experts");
        using var scope = NewDisposeScope();
        var type = tokens.dtype;
        var (weights, isChosen) = plan.Dense();                                                     // [T, E]

        var inputs = _weightsInput
            ? (tokens.unsqueeze(0) * weights.t().unsqueeze(-1)).to(type)                            // [E, T, D]
            : tokens.unsqueeze(0);                                                                  // [1, T, D]
        var hidden = activation(
            Project(inputs, experts.Gate.to(type), experts.GateBias?.to(type)),
            Project(inputs, experts.Up.to(type), experts.UpBias?.to(type)));                        // [E, T, H]
        var outputs = Project(hidden, experts.Down.to(type), experts.DownBias?.to(type));           // [E, T, D]

        var share = (_weightsInput ? isChosen : weights).t().unsqueeze(-1);                         // [E, T, 1]
        return (outputs * share).sum(0L).to(type).MoveToOuterDisposeScope();
    }

    private static Tensor Project(Tensor inputs, Tensor weight, Tensor? bias)
    {
        var products = matmul(inputs, weight.transpose(1, 2));                                      // [E, T, outputs]
        return bias is null ? products : products + bias.unsqueeze(1);
    }
}
