using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>The router's matrix: tokens [.., D] to one logit per expert [.., E], x·Wᵀ (+ bias).</summary>
/// <remarks>
/// It computes in float32 whatever the type of the tokens and of the weight: rounding to bfloat16 would reorder close experts.
/// Parameters: <c>weight</c> [E, D] and, with <see cref="RouterOptions.HasLogitBias"/>, <c>bias</c> [E]; with an input norm, <c>scale</c> [D].
/// </remarks>
public sealed class GateLogit : Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _normalize;

    /// <summary>Creates the matrix with weights from a normal distribution (standard deviation 0.02) and a bias of zeros.</summary>
    /// <param name="hiddenSize">The width D of the tokens; at least 1.</param>
    /// <param name="expertCount">The number E of experts; at least 1.</param>
    /// <param name="hasBias">Whether a learned bias is added to the logits.</param>
    /// <param name="device">Where the parameters lie; null for the CPU.</param>
    /// <param name="generator">The source of the initial weights; null for libtorch's global generator.</param>
    /// <param name="inputNorm">Normalises the tokens before the matrix; null for none.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    public GateLogit(int hiddenSize, int expertCount, bool hasBias = false, Device? device = null, Generator? generator = null, RouterInputNorm? inputNorm = null)
        : base(nameof(GateLogit))
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hiddenSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(expertCount, 1);
        Weight = Initial.Normal([expertCount, hiddenSize], device, generator);
        Bias = hasBias ? Initial.Zeros([expertCount], device) : null;
        Scale = inputNorm is { HasScale: true } ? Initial.Ones([hiddenSize], device) : null;
        _normalize = inputNorm is null ? tokens => tokens : tokens => Normalize(tokens, inputNorm.Epsilon);
        RegisterComponents();
    }

    /// <summary>The weight [E, D].</summary>
    [field: ComponentName(Name = "weight")]
    public Parameter Weight { get; }

    /// <summary>The bias [E], or null.</summary>
    [field: ComponentName(Name = "bias")]
    public Parameter? Bias { get; }

    /// <summary>The scale [D] of normalised tokens; null without <see cref="RouterInputNorm.HasScale"/>.</summary>
    [field: ComponentName(Name = "scale")]
    public Parameter? Scale { get; }

    /// <summary>The float32 logits [.., E] of tokens [.., D] of any floating type.</summary>
    public override Tensor forward(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var logits = functional.linear(_normalize(tokens.to(float32)), Weight.to(float32), Bias?.to(float32));
        return logits.MoveToOuterDisposeScope();
    }

    // x / rms(x) · scale · D^-1/2
    private Tensor Normalize(Tensor tokens, double epsilon)
    {
        var normalized = tokens * (tokens.square().mean([-1L], keepdim: true) + epsilon).rsqrt();
        return (Scale is null ? normalized : normalized * Scale.to(float32)) * Math.Pow(tokens.size(-1), -0.5);
    }
}
