using CsCheck;

namespace MoeSharp.Kernels.Tests;

/// <summary>A layer of any options, small, with random weights, and a call of it.</summary>
internal sealed class MoeProblem
{
    /// <summary>As many as the most shards of a receive buffer.</summary>
    private const int Sequences = 8;

    public MoeProblem(MoeOptions options, int length, int seed)
    {
        Options = options;
        var (D, H, E, W, router) = (options.HiddenSize, options.Experts.IntermediateSize, options.Router.ExpertCount, options.Shared?.IntermediateSize ?? 0, options.Router);
        Tokens = Sequences * length;
        X = Draw(Tokens * D);
        RouterInput = Draw(Tokens * D);
        Router = Draw(E * D);
        (LogitBias, CorrectionBias, QuantileBias, InputScale, PerExpertScale) = (Draw(E), Draw(E), Draw(E), Draw(D), Draw(E));
        (Gate, Up, Down, Biases) = (Draw(E * H * D), Draw(E * H * D), Draw(E * H * D), Draw(H + H + D));
        (SharedGate, SharedUp, SharedDown, SharedRouter) = (Draw(W * D), Draw(W * D), Draw(W * D), options.Shared is { IsGated: true } ? Draw(D) : []);
        int ids = router.Select is Selection.TokenTable table ? table.VocabularySize : 1;
        Table = Ids(ids * router.TopK, E);
        TokenIds = Ids(Tokens, ids);
        Forced = [.. Enumerable.Range(0, Tokens).SelectMany(token => Enumerable.Range(token, router.TopK).Select(expert => (long)(expert % E)))];
        Mask = [.. Enumerable.Range(0, Tokens).Select(token => (token + seed) % 5 != 0)];

        float[] Draw(int count) => RoutingTestKit.Draw(seed++, count);
        long[] Ids(int count, int below) => [.. Draw(count).Select(value => (long)((value + 2) / 4 * below))];
    }

    /// <summary>Layers of every selection, dispatch and other choice.</summary>
    public static Gen<MoeProblem> Any { get; } = Gen.Select(
        AnyOptions.Valid, Gen.Int[1, 20], Gen.Int[0, 3], Gen.Int[0, 1_000_000],
        (options, width, draw, seed) => new MoeProblem(Small(options, width), length: draw == 0 ? 0 : 6, seed));     // 6 can be cut into up to 3 parts

    /// <summary>Layers whose tokens know nothing of each other.</summary>
    public static Gen<MoeProblem> AnyPerToken { get; } = Any.Where(problem => problem.Options is { Router.Select: Selection.TopK or Selection.SparseMixer or Selection.QuantileBalance, Dispatch: { Capacity: null, RaggedBuffer: null } });

    public MoeOptions Options { get; }

    public int Tokens { get; }

    public float[] X { get; }

    public float[] RouterInput { get; }

    public float[] Router { get; }

    public float[] LogitBias { get; }

    public float[] CorrectionBias { get; }

    public float[] QuantileBias { get; }

    public float[] InputScale { get; }

    public float[] PerExpertScale { get; }

    public long[] Table { get; }

    public long[] TokenIds { get; }

    public long[] Forced { get; }

    public bool[] Mask { get; }

    private float[] Gate { get; }

    private float[] Up { get; }

    private float[] Down { get; }

    private float[] Biases { get; }

    private float[] SharedGate { get; }

    private float[] SharedUp { get; }

    private float[] SharedDown { get; }

    private float[] SharedRouter { get; }

    public MoeCall Call => new()
    {
        RouterInput = RouterInput,
        TokenIds = TokenIds,
        Mask = Mask,
        Experts = Options.Router.Select is Selection.Forced ? Forced : [],
        Sequences = Sequences,
        Step = 3,
    };

    public MoeLayer Layer()
    {
        var layer = new MoeLayer(Options);
        LoadRouter(layer);
        LoadExperts(layer.Experts);
        return layer;
    }

    public void LoadRouter(MoeLayer layer)
    {
        var router = Options.Router;
        layer.LoadRouter(Router);
        if (router.HasLogitBias) layer.LoadLogitBias(LogitBias);
        if (router.InputNorm is { HasScale: true }) layer.LoadInputScale(InputScale);
        if (router.HasCorrectionBias) layer.LoadCorrectionBias(CorrectionBias);
        if (router.HasPerExpertScale) layer.LoadPerExpertScale(PerExpertScale);
        if (router.Select is Selection.QuantileBalance) layer.LoadQuantileBias(QuantileBias);
        if (router.Select is Selection.TokenTable) layer.LoadTokenTable(Table);
    }

    public void LoadExperts(ExpertLayer experts)
    {
        var (D, H, matrix) = (Options.HiddenSize, Options.Experts.IntermediateSize, Options.HiddenSize * Options.Experts.IntermediateSize);
        for (int e = 0; e < Options.Router.ExpertCount; e++)
        {
            experts.Load(e, Gate.AsSpan(e * matrix, matrix), Up.AsSpan(e * matrix, matrix), Down.AsSpan(e * matrix, matrix));
            if (Options.Experts.HasBias) experts.LoadBias(e, Biases.AsSpan(0, H), Biases.AsSpan(H, H), Biases.AsSpan(H + H, D));
        }

        if (Options.Shared is not null) experts.LoadShared(SharedGate, SharedUp, SharedDown, SharedRouter);
    }

    /// <summary>The logits, the plan and the output, of the three parts one after the other.</summary>
    public (float[] Logits, RoutingPlan Plan, float[] Output) Expected()
    {
        using var gate = new GateKernel(Options);
        using var experts = new ExpertLayer(Options);
        float[] logits = new float[Tokens * Options.Router.ExpertCount], output = new float[X.Length];
        gate.LoadWeight(Router);
        if (Options.Router.HasLogitBias) gate.LoadBias(LogitBias);
        if (Options.Router.InputNorm is { HasScale: true }) gate.LoadScale(InputScale);
        LoadExperts(experts);

        gate.Forward(RouterInput, logits);
        var plan = new RoutingKernel(Options).Route(new RoutingInput
        {
            Logits = logits,
            Sequences = Sequences,
            SequenceLength = Tokens / Sequences,
            Step = 3,
            CorrectionBias = CorrectionBias,
            PerExpertScale = PerExpertScale,
            QuantileBias = QuantileBias,
            Mask = Mask,
            TokenIds = TokenIds,
            Table = Table,
            Experts = Options.Router.Select is Selection.Forced ? Forced : [],
        });
        experts.Forward(X, plan, output);
        return (logits, plan, output);
    }

    public override string ToString() => $"{Tokens} tokens, {Options}";

    private static MoeOptions Small(MoeOptions options, int width) => options with
    {
        HiddenSize = width,
        Experts = options.Experts with { IntermediateSize = 21 - width },
        Shared = options.Shared is null ? null : options.Shared with { IntermediateSize = width },
        Router = options.Router with
        {
            Select = options.Router.Select is Selection.TokenTable ? new Selection.TokenTable(width) : options.Router.Select,
            RenormalizeEpsilon = 0.01,      // sums may be near zero
        },
    };
}
