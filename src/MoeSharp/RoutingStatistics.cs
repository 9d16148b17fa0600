using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// How one call of one layer routed its tokens, kept as sums so that several layers, micro-batches or ranks add up exactly.
/// Masked tokens are in none of them. The tensors belong to the caller's dispose scope.
/// </summary>
public sealed class RoutingStatistics
{
    private RoutingStatistics(Tensor tokensPerExpert, Tensor scoreSum, Tensor zSum, Tensor entropySum, long tokenCount, int topK)
    {
        TokensPerExpert = tokensPerExpert;
        ScoreSum = scoreSum;
        ZSum = zSum;
        EntropySum = entropySum;
        TokenCount = tokenCount;
        TopK = topK;
    }

    /// <summary>How many tokens chose each expert: int64 [E], its sum is <see cref="TokenCount"/> · <see cref="TopK"/>.</summary>
    public Tensor TokensPerExpert { get; }

    /// <summary>The sum over tokens of softmax(logits): float32 [E], with gradient. It is the softmax whatever the score function, as the balance loss wants it.</summary>
    public Tensor ScoreSum { get; }

    /// <summary>The sum over tokens of logsumexp(logits)²: a float32 scalar with gradient.</summary>
    public Tensor ZSum { get; }

    /// <summary>The sum over tokens of the entropy of softmax(logits), in nats: a float32 scalar without gradient.</summary>
    public Tensor EntropySum { get; }

    /// <summary>The number of tokens counted.</summary>
    public long TokenCount { get; }

    /// <summary>The number K of experts per token.</summary>
    public int TopK { get; }

    /// <summary>
    /// The load-balance loss of this layer alone: E · Σ_e f_e · P_e, where f_e is the share of tokens that chose expert e (Σ f = K)
    /// and P_e its mean softmax score (Fedus et al. 2021, arXiv:2101.03961). An even router gives K. Zero without tokens.
    /// </summary>
    public Tensor LoadBalanceLoss => BalanceLoss.LoadBalance([this]);

    /// <summary>The router z-loss of this layer alone: the mean over tokens of logsumexp(logits)² (ST-MoE, arXiv:2202.08906).</summary>
    public Tensor ZLoss => BalanceLoss.ZLoss([this]);

    /// <summary>The mean entropy of softmax(logits) in nats, ln E for a router that knows nothing; no gradient.</summary>
    public Tensor Entropy => EntropySum / Math.Max(TokenCount, 1);

    /// <summary>The statistics of logits [T, E] routed by <paramref name="plan"/>; tokens [T] false in <paramref name="mask"/> do not count.</summary>
    internal static RoutingStatistics Of(Tensor logits, RoutingPlan plan, Tensor? mask)
    {
        using var scope = NewDisposeScope();
        var experts = mask is null ? plan.Experts : plan.Experts[mask];
        if (mask is not null) logits = logits[mask];

        var scores = logits.softmax(-1);                                // [T, E]
        var z = logits.logsumexp(-1);                                   // [T]
        return new RoutingStatistics(
            experts.flatten().bincount(null, plan.Counts.Count).MoveToOuterDisposeScope(),
            scores.sum(0L).MoveToOuterDisposeScope(),
            z.square().sum().MoveToOuterDisposeScope(),
            EntropySumOf(logits, scores, z).MoveToOuterDisposeScope(),
            logits.size(0),
            (int)plan.TopK);
    }

    // -Σ p·log p = logsumexp - Σ p·logit, without a logarithm of a score that underflowed to zero
    private static Tensor EntropySumOf(Tensor logits, Tensor scores, Tensor z)
    {
        using var _ = no_grad();
        return z.sum() - (scores * logits).sum();
    }

    internal RoutingStatistics MoveToOuterDisposeScope()
    {
        TokensPerExpert.MoveToOuterDisposeScope();
        ScoreSum.MoveToOuterDisposeScope();
        ZSum.MoveToOuterDisposeScope();
        EntropySum.MoveToOuterDisposeScope();
        return this;
    }
}
