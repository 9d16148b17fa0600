namespace MoeSharp;

/// <summary>
/// A load-balance loss: coefficient · E · Σ_e f_e · P_e, where f_e is the number of selections of expert e per token (Σ f = K) and P_e its
/// mean score; a perfectly even router gives K · coefficient (Fedus et al. 2021, arXiv:2101.03961).
/// </summary>
public sealed record LoadBalanceOptions
{
    /// <summary>Multiplies the loss; 0 or more. DeepSeek's α, which an even router gives itself, is K times this.</summary>
    public required double Coefficient { get; init; }

    /// <summary>The tokens that f and P are taken over.</summary>
    public BalanceScope Scope { get; init; }

    /// <summary>What P is the mean of.</summary>
    public BalanceScores Scores { get; init; }

    /// <summary>What f counts.</summary>
    public BalanceCounts Counts { get; init; }

    /// <summary>Whether the tokens of all layers are taken together before f and P (transformers); else each layer has its own loss. Default false.</summary>
    public bool PoolsLayers { get; init; }

    /// <summary>Added to the sum that <see cref="BalanceScores.RouterNormalized"/> divides by; 0 or more, default 0.</summary>
    public double Epsilon { get; init; }

    internal void CollectFaults(OptionFaults faults, RouterOptions router)
    {
        faults.When(!(Coefficient >= 0 && double.IsFinite(Coefficient)), $"LoadBalance.Coefficient is {Coefficient}; set it to 0 or more.");
        faults.When(!(Epsilon >= 0 && double.IsFinite(Epsilon)), $"LoadBalance.Epsilon is {Epsilon}; set it to 0 or more.");
        faults.When(PoolsLayers && Scope != BalanceScope.Batch, $"LoadBalance pools layers, but its Scope is {Scope}; only a batch is pooled.");
        faults.WhenUndefined(Scope, "LoadBalance.Scope");
        faults.WhenUndefined(Scores, "LoadBalance.Scores");
        faults.WhenUndefined(Counts, "LoadBalance.Counts");
        faults.When(Scores is BalanceScores.RouterNormalized && router.Score == ScoreFunction.Identity,
            "LoadBalance.Scores is RouterNormalized, but the router's Score is Identity, whose sum may be zero; choose Softmax.");
    }
}

/// <summary>The tokens that one load-balance loss is taken over.</summary>
public enum BalanceScope
{
    /// <summary>Each sequence by itself; the loss is the mean over sequences (DeepSeek, MaxText).</summary>
    Sequence,

    /// <summary>All tokens of a call together.</summary>
    Batch,

    /// <summary>All tokens of an optimiser step, over its micro-batches and data-parallel ranks: counts are summed before the product (Qiu et al. 2025, arXiv:2501.11873).</summary>
    Global,
}

/// <summary>The scores that a load-balance loss averages.</summary>
public enum BalanceScores
{
    /// <summary>softmax(logits), whatever the router's score function.</summary>
    Softmax,

    /// <summary>The router's score, without correction bias, renormalisation and scale.</summary>
    Router,

    /// <summary>The router's score divided by its sum over all experts plus epsilon (DeepSeek-V3, Megatron-Core).</summary>
    RouterNormalized,

    /// <summary>softmax(score + correction bias): what MaxText computes; it sends a gradient into the correction bias. For comparison with it only.</summary>
    SoftmaxOfBiasedScore,
}

/// <summary>The selections that a load-balance loss and a bias update count.</summary>
public enum BalanceCounts
{
    /// <summary>The real routing, before anything is dropped.</summary>
    Routed,

    /// <summary>The real routing without dropped pairs.</summary>
    Kept,

    /// <summary>A plain top-k of the loss's scores: no group limit, no bias, nothing dropped (transformers, Megatron-Core).</summary>
    TopKOfScores,
}

/// <summary>
/// Loss-free balancing: once per optimiser step, the correction bias of each expert moves against its load (Wang et al. 2024,
/// arXiv:2408.15664).
/// </summary>
/// <param name="Rate">The size of the step; above 0, 0.001 in DeepSeek-V3.</param>
public sealed record BalanceBiasOptions(double Rate)
{
    /// <summary>How the step follows the load.</summary>
    public BiasRule Rule { get; init; }

    /// <summary>What is counted as load; <see cref="BalanceCounts.TopKOfScores"/> is not allowed.</summary>
    public BalanceCounts Counts { get; init; }

    /// <summary>Whether the bias stays as it is. Default false.</summary>
    public bool IsFrozen { get; init; }

    internal void CollectFaults(OptionFaults faults, RouterOptions router)
    {
        faults.When(!(Rate > 0 && double.IsFinite(Rate)), $"BalanceBias.Rate is {Rate}; set it above 0, or BalanceBias to null.");
        faults.When(!router.HasCorrectionBias, "BalanceBias moves the correction bias, but Router.HasCorrectionBias is false; set it to true.");
        faults.When(Counts == BalanceCounts.TopKOfScores, "BalanceBias.Counts is TopKOfScores; a bias follows the real routing: choose Routed or Kept.");
        faults.WhenUndefined(Rule, "BalanceBias.Rule");
        faults.WhenUndefined(Counts, "BalanceBias.Counts");
    }
}

/// <summary>How a correction bias follows the load.</summary>
public enum BiasRule
{
    /// <summary>By rate · sign(mean load - load); not at all at the mean.</summary>
    Sign,

    /// <summary>By rate · (mean load - load) / mean load.</summary>
    Proportional,
}

/// <summary>What a token mask leaves padding out of.</summary>
public enum MaskScope
{
    /// <summary>Of everything: padding gets no expert, takes no slot and counts nowhere.</summary>
    All,

    /// <summary>Of losses, statistics and bias updates only: padding is routed like other tokens (Megatron-Core).</summary>
    Losses,
}
