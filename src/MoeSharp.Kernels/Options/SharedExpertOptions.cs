namespace MoeSharp;

/// <summary>The expert that every token passes through: one gated MLP with the routed experts' activation, without biases.</summary>
public sealed record SharedExpertOptions
{
    /// <summary>The width W of the hidden layer; at least 1. Several shared experts are one of their total width.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Whether sigmoid(x · routerᵀ), one number per token, multiplies the output (Qwen2-MoE, Qwen3-Next). Default false.</summary>
    public bool IsGated { get; init; }

    /// <summary>The shared expert's own clamp, as <see cref="ExpertOptions.Limit"/>; default null for no limit.</summary>
    public double? Limit { get; init; }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(IntermediateSize < 1, $"Shared.IntermediateSize is {IntermediateSize}; set it to 1 or more.");
        faults.When(Limit is { } limit && !(limit > 0 && double.IsFinite(limit)), $"Shared.Limit is {Limit}; set it above 0, or to null for no limit.");
    }
}
