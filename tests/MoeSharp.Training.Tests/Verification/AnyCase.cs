using CsCheck;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Training.Tests;

/// <summary>A small layer over the whole space of options, and a call of it.</summary>
internal sealed record AnyCase(MoeOptions Options, int Seed, bool IsTraining, bool HasMask)
{
    private const int Batch = 2, Sequence = 6, Vocabulary = 5;

    private static readonly Gen<Selection> Selections = OneOf<Selection>(
        new Selection.TopK(), new Selection.TopK(), new Selection.TokenTable(Vocabulary), new Selection.SparseMixer(0.3), new Selection.ExpertChoice(),
        new Selection.RoundRobin(), new Selection.Forced(), new Selection.Sinkhorn(), new Selection.QuantileBalance(0.5));

    private static readonly Gen<RouterOptions> Routers =
        from selection in Selections
        from score in Gen.Enum<ScoreFunction>()
        from weights in Gen.Enum<WeightSource>()
        from renormalize in Gen.Enum<Renormalization>()
        from apply in Gen.Enum<WeightTarget>()
        from has in Gen.Bool.Array[5]
        from topK in Gen.Int[1, 4]
        from ranking in Gen.Enum<GroupRanking>()
        let isRanked = selection is Selection.TopK
        let isMixer = selection is Selection.SparseMixer
        select new RouterOptions
        {
            ExpertCount = 8,
            TopK = isMixer ? 2 : topK,
            Select = selection,
            Score = isMixer ? ScoreFunction.Softmax : score,
            Weights = isMixer ? WeightSource.Score : weights,
            Renormalize = score == ScoreFunction.Identity ? Renormalization.Never : renormalize,        // a sum of logits may be near zero
            RenormalizePower = renormalize == Renormalization.PNorm ? 2 : 1,
            RenormalizeEpsilon = 1e-3,
            Scale = 2.5,
            ApplyTo = apply,
            HasLogitBias = has[0],
            HasCorrectionBias = has[1] && isRanked,
            HasPerExpertScale = has[2],
            InputNorm = has[3] ? new(1e-6, HasScale: has[0]) : null,
            InputJitter = has[3] ? 0.1 : 0,
            GroupLimit = has[4] && isRanked ? new(4, 2, ranking) : null,
        };

    private static readonly Gen<DispatchOptions> Dispatches = Gen.OneOf(
        Gen.Const(new DispatchOptions()),
        from factor in Gen.Double[0.3, 2.0]
        from scope in Gen.Enum<CapacityScope>()
        from parts in Gen.Int[1, 3]
        from drop in Gen.Enum<DropRule>()
        from order in Gen.Enum<CapacityOrder>()
        select new DispatchOptions { Capacity = new() { Factor = factor, Scope = scope, Subsequences = scope == CapacityScope.Sequence ? parts : 1, Drop = drop, Order = order } },
        Gen.Double[0.3, 1.5].Select(factor => new DispatchOptions { RaggedBuffer = new(Batch, factor) }));

    private static readonly Gen<LoadBalanceOptions> Losses =
        from scope in Gen.Enum<BalanceScope>()
        from scores in Gen.Enum<BalanceScores>()
        from counts in Gen.Enum<BalanceCounts>()
        select new LoadBalanceOptions { Coefficient = 0.1, Scope = scope, Scores = scores, Counts = counts, Epsilon = 1e-6 };

    public static Gen<AnyCase> Any { get; } =
        from router in Routers
        from dispatch in Dispatches
        from losses in Losses.Array[0, 2]
        from sizes in Gen.Int[1, 5].Array[3]
        from activation in Gen.Enum<ExpertActivation>()
        from has in Gen.Bool.Array[6]
        from seed in Gen.Int[0, 10_000]
        from mask in Gen.Enum<MaskScope>()
        let isRaggedChoice = router.Select is Selection.ExpertChoice && dispatch.Capacity is null
        select new AnyCase(
            new MoeOptions
            {
                HiddenSize = sizes[0],
                Router = router,
                Experts = new() { IntermediateSize = sizes[1], Activation = activation, HasBias = has[0], Limit = has[1] ? 0.5 : null },
                Shared = has[2] ? new() { IntermediateSize = sizes[2], IsGated = has[3] } : null,
                Dispatch = isRaggedChoice ? new() { Capacity = new() { Factor = 1 } } : dispatch,
                LoadBalance = [.. losses.Select(loss => router.Score == ScoreFunction.Identity && loss.Scores == BalanceScores.RouterNormalized ? loss with { Scores = BalanceScores.Softmax } : loss)],
                ZLossCoefficient = has[4] ? 0.01 : 0,
                BalanceBias = router.HasCorrectionBias ? new(0.01) : null,
                MaskScope = mask,
            },
            seed, IsTraining: seed % 4 > 0, HasMask: has[5]);

    /// <summary>Writes the case of the layer, or of its router alone.</summary>
    public void Write(string path, bool isRouter)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)Seed);
        var hidden = randn(Batch, Sequence, Options.HiddenSize, generator: generator);
        var call = Call(hidden, generator);
        if (!isRouter && Options.Shared is not null)
        {
            using var both = new RoutedAndSharedMoE(Options);
            CaseExporter.Write(path, Drawn(both, generator), hidden, call, "both");
            return;
        }

        using var layer = new RoutedMoE(Options with { Shared = null });
        if (isRouter) CaseExporter.WriteRouter(path, Drawn(layer, generator), hidden, call, "router");
        else CaseExporter.Write(path, Drawn(layer, generator), hidden, call, "layer");
    }

    private RoutingCall Call(Tensor hidden, Generator generator) => new()
    {
        RouterInput = HasMask ? randn(hidden.shape, generator: generator) : null,
        TokenMask = HasMask ? rand([Batch, Sequence], generator: generator) > 0.3 : null,
        TokenIds = Options.Router.Select is Selection.TokenTable ? randint(0, Vocabulary, [Batch, Sequence], ScalarType.Int64, generator: generator) : null,
        Experts = Options.Router.Select is Selection.Forced ? rand([Batch, Sequence, 8], generator: generator).argsort(-1).narrow(-1, 0, 3) : null,
        Step = Seed,
    };

    private T Drawn<T>(T layer, Generator generator)
        where T : Module
    {
        using var _ = no_grad();
        foreach (var values in layer.state_dict().Values.Where(values => values.is_floating_point())) values.copy_(randn(values.shape, generator: generator));
        layer.train(IsTraining);
        return layer;
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);
}
