namespace MoeSharp;

/// <summary>Who chooses whom: how the experts of each token are selected. The weights of the selected come from the router's scores either way.</summary>
public abstract record Selection
{
    private Selection()
    {
    }

    /// <summary>Whether the choice of one token depends on the other tokens of the call, so that it cannot serve one token at a time.</summary>
    public virtual bool SeesAllTokens => false;

    /// <summary>Whether choice values decide, so that a correction bias and a group limit have a meaning.</summary>
    internal virtual bool RanksExperts => false;

    internal virtual void CollectFaults(OptionFaults faults, RouterOptions router)
    {
    }

    /// <summary>Each token takes the K experts of highest choice value, ties to the lowest expert (Shazeer et al. 2017, arXiv:1701.06538).</summary>
    public sealed record TopK : Selection
    {
        internal override bool RanksExperts => true;
    }

    /// <summary>The experts of each token are looked up by its token id (Hash layers, Roller et al. 2021, arXiv:2106.04426; the first layers of DeepSeek-V4).</summary>
    /// <param name="VocabularySize">The number V of rows of the table [V, K]; at least 1.</param>
    public sealed record TokenTable(int VocabularySize) : Selection
    {
        internal override void CollectFaults(OptionFaults faults, RouterOptions router) =>
            faults.When(VocabularySize < 1, $"Select.VocabularySize is {VocabularySize}; set it to the number of token ids, 1 or more.");
    }

    /// <summary>K different experts drawn evenly by the router's seed, the step and the token's place: for load tests.</summary>
    public sealed record Random : Selection;

    /// <summary>Token t takes the experts t·K, t·K + 1, … modulo E: a perfectly even load, for load tests.</summary>
    public sealed record RoundRobin : Selection;

    /// <summary>The experts are given with every call (<c>RoutingCall.Experts</c>).</summary>
    public sealed record Forced : Selection;

    /// <summary>
    /// Each expert takes the C tokens of its scope with the highest score, ties to the earlier token (Zhou et al. 2022, arXiv:2202.09368);
    /// C comes from <see cref="DispatchOptions.Capacity"/>. A token may get no expert, or several.
    /// </summary>
    public sealed record ExpertChoice : Selection
    {
        /// <inheritdoc/>
        public override bool SeesAllTokens => true;
    }

    /// <summary>
    /// The two experts of SparseMixer (Liu et al. 2023, arXiv:2310.00811; Phi-3.5-MoE): per round the best expert, weighted by a softmax
    /// over the experts near it; sampled in training, with an estimated gradient.
    /// </summary>
    /// <param name="Jitter">An expert is near when its logit is within twice this share of the best one; above 0, default 0.01.</param>
    public sealed record SparseMixer(double Jitter = 0.01) : Selection
    {
        internal override void CollectFaults(OptionFaults faults, RouterOptions router)
        {
            faults.When(!(Jitter > 0 && double.IsFinite(Jitter)), $"Select.Jitter of SparseMixer is {Jitter}; set it above 0.");
            faults.When(router.TopK != 2, $"SparseMixer selects two experts, but TopK is {router.TopK}; set TopK to 2.");
            faults.When(router.Weights != WeightSource.Score, $"SparseMixer has weights of its own, but Weights is {router.Weights}; leave it at Score.");
            faults.When(router.Score != ScoreFunction.Softmax, $"SparseMixer works on softmax scores, but Score is {router.Score}; set it to Softmax.");
        }
    }

    /// <summary>
    /// Training: top-k of a doubly normalised exp(logits), so that experts get near even loads; evaluation: plain top-k
    /// (Sinkhorn iteration as in Megatron-Core; Clark et al. 2022, arXiv:2202.01169). No gradient flows through the normalisation.
    /// </summary>
    /// <param name="Tolerance">The iteration ends when the factors of the experts change by less than this on average; above 0, default 1e-4.</param>
    /// <param name="Epsilon">Added to every sum that is divided by; above 0, default 1e-8.</param>
    public sealed record Sinkhorn(double Tolerance = 1e-4, double Epsilon = 1e-8) : Selection
    {
        /// <inheritdoc/>
        public override bool SeesAllTokens => true;

        internal override void CollectFaults(OptionFaults faults, RouterOptions router)
        {
            faults.When(!(Tolerance > 0), $"Select.Tolerance of Sinkhorn is {Tolerance}; set it above 0.");
            faults.When(!(Epsilon > 0), $"Select.Epsilon of Sinkhorn is {Epsilon}; set it above 0.");
        }
    }

    /// <summary>
    /// Top-k of logits minus a bias per expert that training moves to the quantile at which the expert's load is even (Megatron-Core).
    /// The bias is a buffer, updated once per optimiser step.
    /// </summary>
    /// <param name="Ema">The share of the old bias that an update keeps; 0 to below 1, default 0.</param>
    public sealed record QuantileBalance(double Ema = 0) : Selection
    {
        internal override void CollectFaults(OptionFaults faults, RouterOptions router) =>
            faults.When(!(Ema is >= 0 and < 1), $"Select.Ema of QuantileBalance is {Ema}; set it to 0 or more and below 1.");
    }
}
