using CsCheck;

namespace MoeSharp.Kernels.Tests;

/// <summary>Draws of valid options that use every selection, every dispatch and every other choice, and only values that have a meaning.</summary>
internal static class AnyOptions
{
    private static readonly Gen<double> Positive = Gen.OneOf(Gen.Double[1e-20, 20.0], OneOf(1, 0.5, 1e-20, 1e20, double.Epsilon));
    private static readonly Gen<double> Share = Gen.OneOf(Gen.Const(0.0), Gen.Double[0.0, 0.99]);
    private static readonly Gen<double?> Limit = Gen.OneOf(Gen.Const((double?)null), Positive.Select(limit => (double?)limit));

    private static readonly Gen<GroupLimit?> Groups =
        from groups in OneOf(1, 2, 4)
        from keep in Gen.Int[1, groups]
        from ranking in Any<GroupRanking>()
        from count in Gen.Int[1, 2]
        from isGiven in Gen.Bool
        select isGiven ? new GroupLimit(groups, keep, ranking) { Count = ranking == GroupRanking.TopSum ? count : 2 } : null;

    private static readonly Gen<Selection> Select = Gen.OneOf<Selection>(
        Gen.Const<Selection>(new Selection.TopK()),
        Gen.Int[1, 200_000].Select(size => (Selection)new Selection.TokenTable(size)),
        Gen.OneOf(Gen.Const(0.01), Positive).Select(jitter => (Selection)new Selection.SparseMixer(jitter)),
        Gen.Const<Selection>(new Selection.ExpertChoice()),
        Gen.Const<Selection>(new Selection.Random()),
        Gen.Const<Selection>(new Selection.RoundRobin()),
        Gen.Const<Selection>(new Selection.Forced()),
        Gen.Select(Gen.OneOf(Gen.Const(1e-4), Positive), Positive, (tolerance, epsilon) => (Selection)new Selection.Sinkhorn(tolerance, epsilon)),
        Gen.Const<Selection>(new Selection.Sinkhorn()),
        Share.Select(ema => (Selection)new Selection.QuantileBalance(ema)));

    private static readonly Gen<RouterInputNorm?> InputNorm =
        from epsilon in Positive
        from hasScale in Gen.Bool
        from isGiven in Gen.Bool
        select isGiven ? new RouterInputNorm(epsilon, hasScale) : null;

    private static readonly Gen<RouterOptions> Scores =
        from score in Any<ScoreFunction>()
        from biases in Gen.Bool.Array[3]
        from inputNorm in InputNorm
        from jitters in Share.Array[2]
        from seed in Gen.OneOf(Gen.Const(0), Gen.Int)
        from groups in Groups
        from selection in Select
        select new RouterOptions
        {
            ExpertCount = 8,
            TopK = 2,
            Score = score,
            HasLogitBias = biases[0],
            HasCorrectionBias = biases[1],
            HasPerExpertScale = biases[2],
            InputNorm = inputNorm,
            InputJitter = jitters[0],
            LogitJitter = jitters[1],
            Seed = seed,
            GroupLimit = groups,
            Select = selection,
        };

    private static readonly Gen<RouterOptions> Router =
        from scores in Scores
        from topK in Gen.Int[1, 4]
        from weights in Any<WeightSource>()
        from renormalize in Any<Renormalization>()
        from power in Positive
        from epsilon in Gen.OneOf(Gen.Const(0.0), Positive)
        from scale in Gen.OneOf(Gen.Const(1.0), Gen.Double[-9.0, 9.0])
        from apply in Any<WeightTarget>()
        select scores with
        {
            TopK = topK,
            Weights = weights,
            Renormalize = renormalize,
            RenormalizePower = renormalize == Renormalization.PNorm ? power : 1,
            RenormalizeEpsilon = epsilon,
            Scale = scale,
            ApplyTo = apply,
        };

    private static readonly Gen<CapacityOptions> Capacity =
        from factor in Positive
        from slots in Gen.Int[0, 100]
        from isFixed in Gen.Bool
        from minimum in Gen.Int[0, 2]
        from rounding in Any<CapacityRounding>()
        from scope in Any<CapacityScope>()
        from parts in Gen.Int[1, 3]
        from choices in Gen.Select(Any<DropRule>(), Any<CapacityOrder>(), Gen.Bool)
        select new CapacityOptions
        {
            Factor = isFixed ? null : factor,
            Slots = isFixed ? slots : null,
            MinimumSlots = minimum,
            Rounding = rounding,
            Scope = scope,
            Subsequences = scope == CapacityScope.Sequence ? parts : 1,
            Drop = choices.Item1,
            Order = choices.Item2,
            Pad = choices.Item3,
        };

    private static readonly Gen<(DispatchOptions Dispatch, ExpertBackend Backend)> Dispatch = Gen.OneOf(
        Gen.Const((new DispatchOptions(), ExpertBackend.Auto)),
        Gen.Const((new DispatchOptions(), ExpertBackend.Dense)),
        Capacity.Select(capacity => (new DispatchOptions { Capacity = capacity }, ExpertBackend.Auto)),
        Gen.Select(OneOf(1, 2, 4, 8), Positive, (shards, factor) => (new DispatchOptions { RaggedBuffer = new(shards, factor) }, ExpertBackend.Auto)));

    private static readonly Gen<LoadBalanceOptions> Loss =
        from coefficient in Gen.OneOf(Gen.Const(0.0), Positive)
        from scope in Any<BalanceScope>()
        from scores in Any<BalanceScores>()
        from counts in Any<BalanceCounts>()
        from pools in Gen.Bool
        from epsilon in Gen.OneOf(Gen.Const(0.0), Positive)
        select new LoadBalanceOptions
        {
            Coefficient = coefficient,
            Scope = scope,
            Scores = scores,
            Counts = counts,
            PoolsLayers = pools && scope == BalanceScope.Batch,
            Epsilon = epsilon,
        };

    private static readonly Gen<BalanceBiasOptions> Bias =
        from rate in Positive
        from rule in Any<BiasRule>()
        from counts in OneOf(BalanceCounts.Routed, BalanceCounts.Kept)
        from isFrozen in Gen.Bool
        select new BalanceBiasOptions(rate) { Rule = rule, Counts = counts, IsFrozen = isFrozen };

    private static readonly Gen<ExpertOptions> Experts =
        from size in Gen.Int[1, 10_000]
        from activation in Any<ExpertActivation>()
        from limit in Limit
        from hasBias in Gen.Bool
        select new ExpertOptions { IntermediateSize = size, Activation = activation, Limit = limit, HasBias = hasBias };

    private static readonly Gen<SharedExpertOptions?> Shared =
        from size in Gen.Int[1, 10_000]
        from isGated in Gen.Bool
        from limit in Limit
        from isGiven in Gen.Bool
        select isGiven ? new SharedExpertOptions { IntermediateSize = size, IsGated = isGated, Limit = limit } : null;

    public static Gen<MoeOptions> Valid { get; } =
        (from hiddenSize in Gen.Int[1, 10_000]
         from router in Router
         from experts in Experts
         from shared in Shared
         from dispatch in Dispatch
         from losses in Loss.Array[0, 3]
         from zLoss in Gen.OneOf(Gen.Const(0.0), Positive)
         from bias in Bias
         from mask in Any<MaskScope>()
         from recompute in Any<Recompute>()
         select Reconciled(new MoeOptions
         {
             HiddenSize = hiddenSize,
             Router = router,
             Experts = experts,
             Shared = shared,
             Dispatch = dispatch.Dispatch,
             Backend = dispatch.Backend,
             LoadBalance = losses,
             ZLossCoefficient = zLoss,
             BalanceBias = bias,
             MaskScope = mask,
             Recompute = recompute,
         })).Where(IsValid);

    /// <summary>The options with what contradicts the selection taken out, so that few draws are lost.</summary>
    private static MoeOptions Reconciled(MoeOptions options)
    {
        var router = options.Router;
        if (router.Select is not Selection.TopK) router = router with { GroupLimit = null, HasCorrectionBias = false };
        if (router.Select is Selection.SparseMixer) router = router with { TopK = 2, Weights = WeightSource.Score, Score = ScoreFunction.Softmax };

        return options with { Router = router, BalanceBias = router.HasCorrectionBias ? options.BalanceBias : null };
    }

    private static bool IsValid(MoeOptions options)
    {
        try
        {
            options.Validate();
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static Gen<T> Any<T>()
        where T : struct, Enum => OneOf(Enum.GetValues<T>());

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);
}
