namespace MoeSharp.Checkpoints;

/// <summary>Grouped-query attention with rotary positions and an RMSNorm on each head's queries and keys.</summary>
public sealed record AttentionOptions
{
    /// <summary>The number of query heads; at least 1.</summary>
    public required int HeadCount { get; init; }

    /// <summary>The number of key and value heads; divides <see cref="HeadCount"/>.</summary>
    public required int KeyValueHeadCount { get; init; }

    /// <summary>The width of one head; even, because rotary positions turn pairs.</summary>
    public required int HeadSize { get; init; }

    /// <summary>The base of the rotary frequencies; above 0, default 10,000.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>Whether the q, k, v and o projections have biases. Default false.</summary>
    public bool HasBias { get; init; }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(HeadCount < 1, $"Attention.HeadCount is {HeadCount}; set it to 1 or more.");
        faults.When(KeyValueHeadCount < 1 || HeadCount % Math.Max(KeyValueHeadCount, 1) != 0, $"Attention.KeyValueHeadCount is {KeyValueHeadCount}; it must divide the {HeadCount} heads.");
        faults.When(HeadSize < 2 || HeadSize % 2 != 0, $"Attention.HeadSize is {HeadSize}; set it to an even number of 2 or more.");
        faults.When(!(RopeTheta > 0 && double.IsFinite(RopeTheta)), $"Attention.RopeTheta is {RopeTheta}; set it above 0.");
    }
}
