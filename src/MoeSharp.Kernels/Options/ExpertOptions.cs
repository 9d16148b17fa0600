namespace MoeSharp;

/// <summary>
/// What an expert computes: down(activation(gate(x)) ⊙ up(x)), a gated MLP. Parameters are stacked over the experts, rows are outputs:
/// gate and up [E, H, D], down [E, D, H].
/// </summary>
public sealed record ExpertOptions
{
    /// <summary>The width H of the hidden layer of one expert; at least 1.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The gate's activation; the default is SiLU (SwiGLU experts).</summary>
    public ExpertActivation Activation { get; init; }

    /// <summary>
    /// When set, before the activation gate = min(gate, limit) and up = clamp(up, -limit, limit); above 0, default null for no limit
    /// (7 in GPT-OSS, 10 in DeepSeek-V4).
    /// </summary>
    public double? Limit { get; init; }

    /// <summary>Whether gate, up and down have biases. Default false.</summary>
    public bool HasBias { get; init; }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(IntermediateSize < 1, $"Experts.IntermediateSize is {IntermediateSize}; set it to 1 or more.");
        faults.WhenUndefined(Activation, "Experts.Activation");
        faults.When(Limit is { } limit && !(limit > 0 && double.IsFinite(limit)), $"Experts.Limit is {Limit}; set it above 0, or to null for no limit.");
    }
}

/// <summary>The activation of a gated expert, as a function of its gate and up projections.</summary>
public enum ExpertActivation
{
    /// <summary>silu(gate) · up, where silu(z) = z · sigmoid(z).</summary>
    Silu,

    /// <summary>gelu(gate) · up with the exact error function.</summary>
    Gelu,

    /// <summary>gelu(gate) · up with the tanh approximation.</summary>
    GeluTanh,

    /// <summary>max(gate, 0) · up.</summary>
    Relu,

    /// <summary>max(gate, 0)² · up (Primer, So et al. 2021, arXiv:2109.08668).</summary>
    Relu2,

    /// <summary>(up + 1) · gate · sigmoid(1.702 · gate): the experts of GPT-OSS.</summary>
    GptOss,
}
