using CsCheck;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>Routers over the whole space of selections, dispatches, losses and masks.</summary>
internal static class AnyRouting
{
    public sealed record Case(MoeOptions Options, int Sequences, int Length, bool IsTraining, bool IsMasked, int Seed)
    {
        public int Tokens => Sequences * Length;
    }

    private static readonly Gen<Selection> Selections = Gen.OneOf(
        Gen.Const<Selection>(new Selection.TopK()), Gen.Const<Selection>(new Selection.TopK()), Gen.Const<Selection>(new Selection.TopK()),
        Gen.Const<Selection>(new Selection.TokenTable(11)), Gen.Const<Selection>(new Selection.Random()), Gen.Const<Selection>(new Selection.RoundRobin()),
        Gen.Const<Selection>(new Selection.Forced()), Gen.Const<Selection>(new Selection.ExpertChoice()), Gen.Const<Selection>(new Selection.SparseMixer(0.2)),
        Gen.Const<Selection>(new Selection.Sinkhorn()), Gen.Const<Selection>(new Selection.QuantileBalance(0.5)));

    private static readonly Gen<CapacityOptions> Capacities = Gen.Select(
        Gen.Double[0.3, 1.6], Gen.Enum<CapacityScope>(), Gen.Enum<DropRule>(), Gen.Enum<CapacityOrder>(), Gen.Enum<CapacityRounding>(), Gen.Int[0, 2],
        (factor, scope, drop, order, rounding, least) => new CapacityOptions { Factor = factor, Scope = scope, Drop = drop, Order = order, Rounding = rounding, MinimumSlots = least });

    private static readonly Gen<LoadBalanceOptions> Losses = Gen.Select(
        Gen.Enum<BalanceScope>(), Gen.Enum<BalanceScores>(), Gen.Enum<BalanceCounts>(),
        (scope, scores, counts) => new LoadBalanceOptions { Coefficient = 0.7, Scope = scope, Scores = scores, Counts = counts, Epsilon = 1e-3 });

    private static readonly Gen<RouterOptions> Routers = Gen.Select(
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 9], Gen.Int[1, 100], Gen.Enum<GroupRanking>(), Gen.Bool),
        Selections,
        Gen.Enum<ScoreFunction>(),
        Gen.Enum<WeightSource>(),
        Gen.Enum<Renormalization>(),
        Gen.Select(Gen.Bool, Gen.Bool, Gen.Bool),
        Router);

    public static Gen<Case> Cases { get; } = Gen.Select(
        Routers, Gen.Select(Gen.Bool, Capacities), Gen.Bool, Losses.List[0, 3], Gen.Select(Gen.Int[1, 3], Gen.Int[0, 7], Gen.Bool, Gen.Bool), Gen.Enum<MaskScope>(), Gen.Int[0, 1_000_000],
        (router, capacity, hasBuffer, losses, shape, maskScope, seed) =>
        {
            bool needsCapacity = router.Select is Selection.ExpertChoice;
            var options = new MoeOptions
            {
                HiddenSize = 1,
                Experts = new() { IntermediateSize = 1 },
                Router = router,
                Dispatch = needsCapacity || capacity.Item1 ? new() { Capacity = capacity.Item2 } : hasBuffer ? new() { RaggedBuffer = new(1, 0.7) } : new(),
                LoadBalance = [.. losses.Where(loss => router.Score != ScoreFunction.Identity || loss.Scores is BalanceScores.Softmax or BalanceScores.Router)],
                MaskScope = maskScope,
            };
            return new Case(options, shape.Item1, shape.Item2, shape.Item3, shape.Item4, seed);
        });

    private static RouterOptions Router(
        (int Groups, int Size, int Draw, GroupRanking By, bool IsLimited) shape, Selection select, ScoreFunction score, WeightSource weights, Renormalization renormalize, (bool Bias, bool Scale, bool Times) has)
    {
        bool isMixer = select is Selection.SparseMixer, isTopK = select is Selection.TopK, isLimited = shape.IsLimited && isTopK;
        int keep = 1 + (shape.Draw % shape.Groups), experts = isMixer ? Math.Max(shape.Groups * shape.Size, 2) : shape.Groups * shape.Size;
        return new RouterOptions
        {
            ExpertCount = experts,
            TopK = isMixer ? 2 : 1 + (shape.Draw % ((isLimited ? keep : shape.Groups) * shape.Size)),
            Select = select,
            Score = isMixer ? ScoreFunction.Softmax : score,
            Weights = isMixer ? WeightSource.Score : weights,
            Renormalize = score == ScoreFunction.Identity && !isMixer ? Renormalization.Never : renormalize,     // a sum of logits may be near zero
            RenormalizeEpsilon = 0.01,
            RenormalizePower = 1 + (shape.Draw % 3),
            Scale = has.Times ? 2.5 : 1,
            HasCorrectionBias = has.Bias && isTopK,
            HasPerExpertScale = has.Scale,
            GroupLimit = isLimited ? new GroupLimit(shape.Groups, keep, shape.Size == 1 ? GroupRanking.Max : shape.By) { Count = Math.Min(2, shape.Size) } : null,
            Seed = shape.Draw,
        };
    }

    /// <summary>Values on a grid: equal ones are equal in any arithmetic, others are far enough apart to be ordered alike.</summary>
    public static Tensor Grid(Random random, params long[] shape)
    {
        var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        for (int i = 0; i < values.Length; i++) values[i] = random.Next(-24, 25) / 8f;
        return tensor(values).reshape(shape);
    }
}
