namespace MoeSharp;

/// <summary>Every word of the format; in the order in which messages list them.</summary>
internal static class OptionWords
{
    public static readonly Words<ScoreFunction> Score = new(
        ("softmax", ScoreFunction.Softmax),
        ("sigmoid", ScoreFunction.Sigmoid),
        ("sqrt_softplus", ScoreFunction.SqrtSoftplus),
        ("identity", ScoreFunction.Identity));

    public static readonly Words<GroupRanking> RankGroupsBy = new(
        ("max", GroupRanking.Max),
        ("top2_sum", GroupRanking.TopTwoSum),
        ("top_sum", GroupRanking.TopSum));

    public static readonly Words<WeightSource> Weights = new(
        ("score", WeightSource.Score),
        ("softmax_of_selected", WeightSource.SoftmaxOfSelected));

    public static readonly Words<Renormalization> Renormalize = new(
        ("never", Renormalization.Never),
        ("always", Renormalization.Always),
        ("p_norm", Renormalization.PNorm));

    public static readonly Words<WeightTarget> Apply = new(
        ("output", WeightTarget.Output),
        ("input", WeightTarget.Input));

    /// <summary>The one kind of input normalisation.</summary>
    public static readonly Words<bool> InputNorm = new(("rms", true));

    public static readonly Words<ExpertActivation> Activation = new(
        ("silu", ExpertActivation.Silu),
        ("gelu", ExpertActivation.Gelu),
        ("gelu_tanh", ExpertActivation.GeluTanh),
        ("relu", ExpertActivation.Relu),
        ("relu2", ExpertActivation.Relu2),
        ("gpt_oss", ExpertActivation.GptOss));

    public static readonly Words<CapacityScope> SlotScope = new(
        ("sequence", CapacityScope.Sequence),
        ("batch", CapacityScope.Batch));

    public static readonly Words<DropRule> Drop = new(
        ("position", DropRule.Position),
        ("probability", DropRule.Probability));

    public static readonly Words<CapacityOrder> SlotOrder = new(
        ("token_first", CapacityOrder.TokenFirst),
        ("batch_first", CapacityOrder.TokenFirst),      // another name for the same order
        ("choice_first", CapacityOrder.ChoiceFirst),
        ("sequence_first", CapacityOrder.SequenceFirst),
        ("priority_first", CapacityOrder.PriorityFirst));

    public static readonly Words<CapacityRounding> Rounding = new(
        ("ceil", CapacityRounding.Ceiling),
        ("int_of_ceil_mean_times_factor", CapacityRounding.CeilingOfMean));

    /// <summary>The one order in which a receive buffer is filled.</summary>
    public static readonly Words<bool> BufferOrder = new(("source_shard, expert, token", true));

    public static readonly Words<BalanceScope> LossScope = new(
        ("sequence", BalanceScope.Sequence),
        ("batch", BalanceScope.Batch),
        ("global", BalanceScope.Global));

    public static readonly Words<BalanceScores> LossScores = new(
        ("softmax", BalanceScores.Softmax),
        ("router", BalanceScores.Router),
        ("router_normalized", BalanceScores.RouterNormalized),
        ("softmax_of_router_score_plus_bias", BalanceScores.SoftmaxOfBiasedScore));

    public static readonly Words<BalanceCounts> Counted = new(
        ("routed", BalanceCounts.Routed),
        ("kept", BalanceCounts.Kept),
        ("top_k_of_scores", BalanceCounts.TopKOfScores));

    /// <summary>Whether a loss pools the layers.</summary>
    public static readonly Words<bool> Layers = new(("pooled", true));

    public static readonly Words<BiasRule> Rule = new(
        ("sign", BiasRule.Sign),
        ("proportional", BiasRule.Proportional));

    public static readonly Words<MaskScope> Masked = new(
        ("all", MaskScope.All),
        ("losses", MaskScope.Losses));

    public static readonly Words<Recompute> Again = new(
        ("none", Recompute.None),
        ("activation", Recompute.Activation),
        ("all", Recompute.All));
}
