namespace MoeSharp;

/// <summary>
/// How a layer routed the counted tokens of one or several calls, as plain counts and sums: what global losses, bias updates and
/// reports need. Micro-batches and ranks add up exactly.
/// </summary>
public sealed class RoutingLoad
{
    private readonly float[]? _quantileSum;
    private readonly long[]?[] _topKOfScores;
    private readonly double _entropySum, _topWeightSum;

    private RoutingLoad(long tokens, int calls, long[] routed, long[] kept, long[]?[] topKOfScores, float[]? quantileSum, double entropySum, double topWeightSum)
    {
        (Tokens, Calls, Routed, Kept, _topKOfScores, _quantileSum) = (tokens, calls, routed, kept, topKOfScores, quantileSum);
        (_entropySum, _topWeightSum) = (entropySum, topWeightSum);
    }

    /// <summary>The counted tokens.</summary>
    public long Tokens { get; }

    /// <summary>The calls that were added up.</summary>
    public int Calls { get; }

    /// <summary>The tokens that chose each expert [E], before dropping.</summary>
    public IReadOnlyList<long> Routed { get; }

    /// <summary>The tokens of each expert [E] after dropping.</summary>
    public IReadOnlyList<long> Kept { get; }

    /// <summary>The mean over calls of the quantiles [E] of <see cref="Selection.QuantileBalance"/>; null without.</summary>
    public IReadOnlyList<float>? Quantiles => _quantileSum is null ? null : [.. _quantileSum.Select(sum => sum / Calls)];

    /// <summary>The mean entropy of softmax(logits) in nats, ln E for a router that knows nothing; 0 without tokens.</summary>
    public double Entropy => _entropySum / Math.Max(Tokens, 1);

    /// <summary>The mean over tokens of their largest weight; 0 without tokens.</summary>
    public double MeanTopWeight => _topWeightSum / Math.Max(Tokens, 1);

    /// <summary>The largest load of an expert over the mean; 1 when even, 0 without tokens.</summary>
    public double MaxOverMean => Mean > 0 ? Routed.Max() / Mean : 0;

    /// <summary>The standard deviation of the experts' loads over their mean; 0 when even, or without tokens.</summary>
    public double Variation => Mean > 0 ? Math.Sqrt(Routed.Average(load => (load - Mean) * (load - Mean))) / Mean : 0;

    /// <summary>The number of experts that no token chose.</summary>
    public int DeadExperts => Routed.Count(load => load == 0);

    /// <summary>The share of selections that were dropped; 0 to 1.</summary>
    public double DroppedShare => Routed.Sum() is > 0 and var routed ? 1 - (double)Kept.Sum() / routed : 0;

    private double Mean => Routed.Average();

    /// <summary>A load from counts that were taken elsewhere; nothing is dropped.</summary>
    /// <param name="tokens">The counted tokens.</param>
    /// <param name="routed">The tokens that chose each expert [E].</param>
    public static RoutingLoad Of(long tokens, IReadOnlyList<long> routed) => new(tokens, 1, [.. routed], [.. routed], [null], null, 0, 0);

    internal static RoutingLoad Of(RoutingSums sums) => new(
        sums.Tokens.Sum(count => (long)count), 1, PerExpert(sums.Routed, sums.ExpertCount)!, PerExpert(sums.Kept, sums.ExpertCount)!,
        [.. sums.TopKOfScores.Select(counts => PerExpert(counts, sums.ExpertCount))], sums.Quantiles, sums.Entropy, sums.TopWeight);

    /// <summary>The load of both.</summary>
    /// <exception cref="ArgumentException">They have different numbers of experts.</exception>
    public RoutingLoad Add(RoutingLoad other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (other.Routed.Count != Routed.Count) throw new ArgumentException($"Loads of {Routed.Count} and of {other.Routed.Count} experts do not add up; add those of one layer.", nameof(other));

        return new(
            Tokens + other.Tokens, Calls + other.Calls, Sum(Routed, other.Routed), Sum(Kept, other.Kept),
            [.. _topKOfScores.Zip(other._topKOfScores, (a, b) => a is null || b is null ? null : Sum(a, b))],
            _quantileSum is null || other._quantileSum is null ? null : [.. _quantileSum.Zip(other._quantileSum, (a, b) => a + b)],
            _entropySum + other._entropySum, _topWeightSum + other._topWeightSum);
    }

    /// <summary>What a loss or a bias counts; <paramref name="kind"/> is the place of its scores among the kernel's.</summary>
    internal IReadOnlyList<long> Counts(BalanceCounts counts, int kind) => counts switch
    {
        BalanceCounts.Kept => Kept,
        BalanceCounts.TopKOfScores => _topKOfScores.ElementAtOrDefault(kind) ?? throw new ArgumentException("The load has no counts of a top-k of scores, which the loss asks for; add up the loads of calls of this layer."),
        _ => Routed,
    };

    private static long[] Sum(IReadOnlyList<long> a, IReadOnlyList<long> b) => [.. a.Zip(b, (x, y) => x + y)];

    private static long[]? PerExpert(int[]? byGroup, int experts)
    {
        if (byGroup is null) return null;

        long[] total = new long[experts];
        for (int i = 0; i < byGroup.Length; i++) total[i % experts] += byGroup[i];
        return total;
    }
}
