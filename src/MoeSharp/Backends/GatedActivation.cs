using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>The activations of gated experts, each a function of the gate and the up projection.</summary>
internal static class GatedActivation
{
    // the constant of GPT-OSS: x · sigmoid(1.702 x) approximates gelu
    private const double GptOssAlpha = 1.702;

    /// <summary>The activation with its clamps: gate to at most the limit, up to ± the limit.</summary>
    public static Func<Tensor, Tensor, Tensor> Function(ExpertActivation activation, double? limit)
    {
        var function = Unlimited(activation);
        return limit is { } bound
            ? (gate, up) => function(gate.clamp_max(bound), up.clamp(-bound, bound))
            : function;
    }

    private static Func<Tensor, Tensor, Tensor> Unlimited(ExpertActivation activation) => activation switch
    {
        ExpertActivation.Silu => (gate, up) => functional.silu(gate) * up,
        ExpertActivation.Gelu => (gate, up) => functional.gelu(gate) * up,
        ExpertActivation.GeluTanh => (gate, up) => functional.gelu(gate, TorchSharp.Modules.GELU.Approximate.tanh) * up,
        ExpertActivation.Relu => (gate, up) => functional.relu(gate) * up,
        ExpertActivation.Relu2 => (gate, up) => functional.relu(gate).square() * up,
        ExpertActivation.GptOss => (gate, up) => (up + 1) * gate * (gate * GptOssAlpha).sigmoid(),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, "No such activation."),
    };
}
