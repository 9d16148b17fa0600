namespace MoeSharp.Kernels.Tests;

/// <summary>The expert of all tokens, in the same pass as the routed ones: their sum, and what a layer of the shared expert alone computes.</summary>
public sealed class SharedExpertTests
{
    private static readonly ExpertSetup Batch = new() { Tokens = 70, Hidden = 45, Intermediate = 35, Pairs = PairPattern.WithGaps };

    public static TheoryData<ExpertPrecision> Precisions { get; } = [.. Enum.GetValues<ExpertPrecision>()];

    [Theory, MemberData(nameof(Precisions))]
    public void Forward_WithAnyOptions_MatchesDoublePrecision(ExpertPrecision precision)
    {
        foreach (var activation in Enum.GetValues<ExpertActivation>())
        {
            foreach (var (hidden, intermediate, width) in new[] { (1, 1, 1), (33, 17, 65), (64, 48, 16), (18, 66, 3) })
            {
                var setup = new ExpertSetup { Activation = activation, Hidden = hidden, Intermediate = intermediate, Seed = 100 * hidden + (int)activation };
                AssertMatches(new(setup, width, isGated: true, limit: null), precision);
                AssertMatches(new(setup with { Limit = 0.7, ApplyTo = WeightTarget.Input, HasBias = false }, width, isGated: false, limit: 0.4), precision);
            }
        }
    }

    [Theory, MemberData(nameof(Precisions))]
    public void Forward_AnyNumberOfTokensAndExperts_MatchesDoublePrecision(ExpertPrecision precision)
    {
        foreach (int tokens in new[] { 0, 1, 2, 15, 100 })
        {
            AssertMatches(new(Batch with { Tokens = tokens }, 50, isGated: true, limit: null), precision);
            AssertMatches(new(Batch with { Tokens = tokens, Experts = 1, Width = 1 }, 50, isGated: false, limit: null), precision);
            AssertMatches(new(Batch with { Tokens = tokens, Width = 0 }, 50, isGated: false, limit: null), precision);
        }
    }

    [Theory, MemberData(nameof(Precisions))]
    public void Forward_ATokenAlone_HasItsBitsInABatch(ExpertPrecision precision)
    {
        var problem = new SharedProblem(Batch, 50, isGated: true, limit: 0.4);
        using var layer = problem.Layer(precision);
        float[] batch = ExpertLayerRun.Forward(layer, problem.Routed);

        for (int token = 0; token < Batch.Tokens; token++)
            Assert.Equal(Lanes.Bits(batch[(token * Batch.Hidden)..((token + 1) * Batch.Hidden)]), Lanes.Bits(ExpertLayerRun.Forward(layer, problem.Routed.Part(token, 1))));
    }

    [Fact]
    public unsafe void Run_OnAnyNumberOfThreads_HasTheBitsOfOne()
    {
        var problem = new SharedProblem(Batch with { Tokens = 300, Hidden = 75 }, 130, isGated: true, limit: null);
        using var memory = new PassMemory();
        using var arrays = new GuardedArrays(isAtEnd: true);
        var pass = problem.Pass(arrays);
        float* x = arrays.Of(problem.Routed.X), y = arrays.Room(problem.Routed.X.Length);
        uint[]? expected = null;
        foreach (int threads in new[] { 1, 2, 3, 8 })
        {
            using var pool = new WorkerPool(threads);
            new Span<float>(y, problem.Routed.X.Length).Fill(float.NaN);

            pass.Run(pool, memory, new(x, 75), problem.Routed.Plan, new(y, 75));

            uint[] bits = Lanes.Bits(new Span<float>(y, problem.Routed.X.Length).ToArray());
            Assert.Equal(expected ??= bits, bits);
        }

        using var layer = problem.Layer(ExpertPrecision.Float32);
        Assert.Equal(expected, Lanes.Bits(ExpertLayerRun.Forward(layer, problem.Routed)));      // packed before, or while it runs
    }

    [Theory]
    [InlineData(nameof(TileType.Float32), WeightTarget.Output)]
    [InlineData(nameof(TileType.Float32), WeightTarget.Input)]
    [InlineData(nameof(TileType.BFloat16), WeightTarget.Output)]
    [InlineData(nameof(TileType.BFloat16), WeightTarget.Input)]
    public unsafe void Run_TokensOfBFloat16_GivesTheSumsOfTheirFloat32RoundedOnce(string products, WeightTarget applyTo)
    {
        var problem = new SharedProblem(Batch with { ApplyTo = applyTo }, 50, isGated: true, limit: null);
        float[] tokens = problem.Routed.X;
        Lanes.Narrow(tokens);
        using var memory = new PassMemory();
        using var pool = new WorkerPool(2);
        foreach (bool isAtEnd in new[] { false, true })
        {
            using var arrays = new GuardedArrays(isAtEnd);
            var pass = problem.Pass(arrays, Enum.Parse<TileType>(products));
            float* sums = arrays.Room(tokens.Length);
            ushort* rounded = arrays.Of(new ushort[tokens.Length]);

            pass.Run(pool, memory, new(arrays.Of(tokens), Batch.Hidden), problem.Routed.Plan, new(sums, Batch.Hidden));
            pass.Run(pool, memory, BFloat16(arrays.Of(Lanes.ToBFloat16(tokens))), problem.Routed.Plan, BFloat16(rounded));

            Assert.Equal(Lanes.ToBFloat16(new Span<float>(sums, tokens.Length)), new Span<ushort>(rounded, tokens.Length).ToArray());
        }

        static TokenRows BFloat16(ushort* start) => new(start, TileType.BFloat16, Batch.Hidden);
    }

    [Fact]
    public void LoadShared_BitsOfBFloat16_HasTheBitsOfTheirFloat32()
    {
        var problem = new SharedProblem(Batch, 50, isGated: true, limit: null);
        foreach (float[] values in problem.SharedMatrices) Lanes.Narrow(values);
        using ExpertLayer wide = problem.Layer(ExpertPrecision.BFloat16), narrow = problem.Layer(ExpertPrecision.BFloat16);

        narrow.LoadShared(Lanes.ToBFloat16(problem.Gate), Lanes.ToBFloat16(problem.Up), Lanes.ToBFloat16(problem.Down), Lanes.ToBFloat16(problem.Router));

        Assert.Equal(Lanes.Bits(ExpertLayerRun.Forward(wide, problem.Routed)), Lanes.Bits(ExpertLayerRun.Forward(narrow, problem.Routed)));
    }

    [Fact]
    public void LoadShared_WrongArguments_AreNamed()
    {
        var problem = new SharedProblem(Batch, 50, isGated: true, limit: null);
        using ExpertLayer layer = new(problem.Options), ungated = new(problem.Options with { Shared = new() { IntermediateSize = 50 } }), none = new(problem.Options with { Shared = null });
        var (right, wrong) = (problem.Gate, problem.Gate[1..]);

        ExpertLayerRun.AssertRefused("gate has 2249 values; expected 2250 (Shared.IntermediateSize 50 · HiddenSize 45).", "gate", () => layer.LoadShared(wrong, right, right, problem.Router));
        ExpertLayerRun.AssertRefused("up has 2249 values; expected 2250 (Shared.IntermediateSize 50 · HiddenSize 45).", "up", () => layer.LoadShared(right, wrong, right, problem.Router));
        ExpertLayerRun.AssertRefused("down has 2249 values; expected 2250 (Shared.IntermediateSize 50 · HiddenSize 45).", "down", () => layer.LoadShared(Lanes.ToBFloat16(right), Lanes.ToBFloat16(right), Lanes.ToBFloat16(wrong), Lanes.ToBFloat16(problem.Router)));
        ExpertLayerRun.AssertRefused("router has 0 values; expected 45 (HiddenSize).", "router", () => layer.LoadShared(right, right, right));
        ExpertLayerRun.AssertRefused("router has 45 values; expected 0 (Shared.IsGated is false).", "router", () => ungated.LoadShared(right, right, right, problem.Router));
        Assert.Equal("The options of this layer have no shared expert; set Shared.", Assert.Throws<InvalidOperationException>(() => none.LoadShared(right, right, right)).Message);
    }

    [Fact]
    public void Forward_WithoutItsWeights_IsRefused()
    {
        var problem = new SharedProblem(Batch, 50, isGated: false, limit: null);
        using var layer = new ExpertLayer(problem.Options);
        problem.LoadRouted(layer);

        Assert.Equal("The layer is not loaded: the shared expert has no weights yet. Load what is missing first.", Assert.Throws<InvalidOperationException>(() => ExpertLayerRun.Forward(layer, problem.Routed)).Message);
    }

    [Fact]
    public void PackedBytes_OfASharedExpert_AreCountedToo()
    {
        var problem = new SharedProblem(Batch with { Hidden = 64, Intermediate = 48, HasBias = false }, 32, isGated: true, limit: null);
        using ExpertLayer layer = new(problem.Options), none = new(problem.Options with { Shared = null });

        Assert.Equal(none.PackedBytes + 3 * 64 * 32 * 4 + 64 * 4, layer.PackedBytes);
    }

    private static void AssertMatches(SharedProblem problem, ExpertPrecision precision)
    {
        double[] expected = problem.Expected(precision == ExpertPrecision.Float32 ? TileType.Float32 : TileType.BFloat16);
        double bound = (precision == ExpertPrecision.Float32 ? 1e-5 : 1e-2) * expected.Select(Math.Abs).Append(1).Max();

        using var layer = problem.Layer(precision);
        float[] actual = ExpertLayerRun.Forward(layer, problem.Routed);

        for (int i = 0; i < expected.Length; i++) Assert.True(Math.Abs(expected[i] - actual[i]) <= bound, $"[{i}]: {actual[i]:R}, expected {expected[i]:R} ± {bound:R} for {problem.Setup} and {problem.Options.Shared} in {precision}");
    }
}
