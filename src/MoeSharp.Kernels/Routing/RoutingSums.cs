namespace MoeSharp;

/// <summary>
/// Sums over the counted tokens of one call, by group: one group for the whole call, or one per sequence when a loss is taken per
/// sequence. Sums, so that micro-batches and ranks add up exactly.
/// </summary>
public sealed class RoutingSums
{
    internal RoutingSums(int groups, int expertCount, int kinds)
    {
        (GroupCount, ExpertCount) = (groups, expertCount);
        Tokens = new int[groups];
        Routed = new int[groups * expertCount];
        Kept = new int[groups * expertCount];
        Scores = [.. Enumerable.Range(0, kinds).Select(_ => new float[groups * expertCount])];
        TopKOfScores = new int[kinds][];
    }

    /// <summary>The number G of groups.</summary>
    public int GroupCount { get; }

    /// <summary>The number E of experts.</summary>
    public int ExpertCount { get; }

    /// <summary>The counted tokens of each group [G].</summary>
    public int[] Tokens { get; }

    /// <summary>The pairs of each expert before dropping [G, E].</summary>
    public int[] Routed { get; }

    /// <summary>The pairs of each expert after dropping [G, E].</summary>
    public int[] Kept { get; }

    /// <summary>The sums of scores [G, E], in the order of <see cref="RoutingKernel.Kinds"/>.</summary>
    public IReadOnlyList<float[]> Scores { get; }

    /// <summary>The counts [G, E] of a plain top-k of the scores of each kind; null where no loss asks for it.</summary>
    public int[]?[] TopKOfScores { get; }

    /// <summary>Σ logsumexp(logits)².</summary>
    public double Z { get; internal set; }

    /// <summary>Σ of the entropy of softmax(logits), in nats.</summary>
    public double Entropy { get; internal set; }

    /// <summary>Σ of the largest weight of each token.</summary>
    public double TopWeight { get; internal set; }

    /// <summary>The quantiles [E] that this call's tokens would balance at; null unless in training with <see cref="Selection.QuantileBalance"/>.</summary>
    public float[]? Quantiles { get; internal set; }
}

/// <summary>Scores that losses average: their function, and the epsilon of <see cref="BalanceScores.RouterNormalized"/>.</summary>
/// <param name="Scores">The function.</param>
/// <param name="Epsilon">Added to the sum that is divided by; 0 for the other functions.</param>
public readonly record struct ScoreKind(BalanceScores Scores, double Epsilon)
{
    internal static ScoreKind Of(LoadBalanceOptions loss) => new(loss.Scores, loss.Scores == BalanceScores.RouterNormalized ? loss.Epsilon : 0);
}
