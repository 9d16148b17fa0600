using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace MoeSharp.Kernels.Tests;

public sealed class ExpertLayerTests
{
    private static readonly ExpertSetup Batch = new() { Tokens = 70, Hidden = 45, Intermediate = 35, Pairs = PairPattern.WithGaps };

    public static TheoryData<ExpertPrecision> Precisions { get; } = [.. Enum.GetValues<ExpertPrecision>()];

    [Theory, MemberData(nameof(Precisions))]
    public void Forward_WithAnyOptions_MatchesDoublePrecision(ExpertPrecision precision)
    {
        foreach (var activation in Enum.GetValues<ExpertActivation>())
        {
            foreach (var (hidden, intermediate) in new[] { (1, 1), (33, 17), (64, 48), (18, 66) })
            {
                int seed = 100 * hidden + (int)activation;
                AssertMatches(new ExpertSetup { Activation = activation, Hidden = hidden, Intermediate = intermediate, Seed = seed }, precision);
                AssertMatches(new ExpertSetup { Activation = activation, Hidden = hidden, Intermediate = intermediate, Seed = seed, HasBias = false, Limit = 0.7, ApplyTo = WeightTarget.Input }, precision);
            }
        }
    }

    [Theory, MemberData(nameof(Precisions))]
    public void Forward_AnyNumberOfTokens_MatchesDoublePrecision(ExpertPrecision precision)
    {
        foreach (int tokens in new[] { 0, 1, 2, 15, 100 }) AssertMatches(Batch with { Tokens = tokens }, precision);
    }

    [Theory, MemberData(nameof(Precisions))]
    public void Forward_ATokenAlone_HasItsBitsInABatch(ExpertPrecision precision)
    {
        var problem = new ExpertProblem(Batch);
        using var layer = LayerOf(problem, precision);
        float[] batch = ExpertLayerRun.Forward(layer, problem);

        for (int token = 0; token < Batch.Tokens; token++)
        {
            float[] alone = ExpertLayerRun.Forward(layer, problem.Part(token, 1));

            Assert.Equal(Lanes.Bits(batch[(token * Batch.Hidden)..((token + 1) * Batch.Hidden)]), Lanes.Bits(alone));
        }
    }

    /// <summary>34 MB of gathered rows, several times what there is room for at once.</summary>
    [Theory, MemberData(nameof(Precisions))]
    public void Forward_ALongBatch_HasTheBitsOfItsParts(ExpertPrecision precision)
    {
        const int Part = 500;
        var problem = new ExpertProblem(Batch with { Tokens = 12 * Part, Hidden = 700, Intermediate = 16, Experts = 8, Pairs = PairPattern.All });
        using var layer = LayerOf(problem, precision);

        float[] batch = ExpertLayerRun.Forward(layer, problem);

        float[] parts = [.. Enumerable.Range(0, 12).SelectMany(part => ExpertLayerRun.Forward(layer, problem.Part(part * Part, Part)))];
        Assert.Equal(Lanes.Bits(parts), Lanes.Bits(batch));
    }

    /// <summary>Even and odd widths: rows of bfloat16 that begin in the middle of a lane are packed another way.</summary>
    [Theory]
    [InlineData(ExpertPrecision.Float32, 64, 48)]
    [InlineData(ExpertPrecision.Float32, 45, 35)]
    [InlineData(ExpertPrecision.BFloat16, 64, 48)]
    [InlineData(ExpertPrecision.BFloat16, 66, 34)]
    [InlineData(ExpertPrecision.BFloat16, 45, 35)]
    [InlineData(ExpertPrecision.BFloat16, 3, 64)]
    public void Load_BitsOfBFloat16_HasTheBitsOfTheirFloat32(ExpertPrecision precision, int hidden, int intermediate)
    {
        var problem = new ExpertProblem(Batch with { Hidden = hidden, Intermediate = intermediate });
        foreach (float[]? values in new[] { problem.Gate, problem.Up, problem.Down, problem.GateBias, problem.UpBias, problem.DownBias }) Lanes.Narrow(values!);

        using ExpertLayer narrow = new(OptionsOf(problem.Setup), precision), wide = LayerOf(problem, precision);
        for (int e = 0; e < Batch.Experts; e++)
        {
            narrow.Load(e, Lanes.ToBFloat16(Matrix(problem, problem.Gate, e)), Lanes.ToBFloat16(Matrix(problem, problem.Up, e)), Lanes.ToBFloat16(Matrix(problem, problem.Down, e)));
            narrow.LoadBias(e, Lanes.ToBFloat16(Part(problem.GateBias!, e, intermediate)), Lanes.ToBFloat16(Part(problem.UpBias!, e, intermediate)), Lanes.ToBFloat16(Part(problem.DownBias!, e, hidden)));
        }

        Assert.Equal(Lanes.Bits(ExpertLayerRun.Forward(wide, problem)), Lanes.Bits(ExpertLayerRun.Forward(narrow, problem)));
    }

    [Fact]
    public unsafe void Load_FromAMemoryMappedFile_HasTheBitsOfArrays()
    {
        var problem = new ExpertProblem(Batch with { HasBias = false });
        float[] values = [.. problem.Gate, .. problem.Up, .. problem.Down];
        using var file = new FileStream(Path.GetTempFileName(), FileMode.Open, FileAccess.ReadWrite, FileShare.None, 4096, FileOptions.DeleteOnClose);
        file.Write(MemoryMarshal.AsBytes<float>(values));
        file.Flush();
        using var map = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        using var view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        using ExpertLayer mapped = new(OptionsOf(problem.Setup)), inMemory = LayerOf(problem, ExpertPrecision.Float32);

        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        int size = Batch.Hidden * Batch.Intermediate;
        for (int e = 0; e < Batch.Experts; e++) mapped.Load(e, Matrix(0, e), Matrix(1, e), Matrix(2, e));
        view.SafeMemoryMappedViewHandle.ReleasePointer();

        Assert.Equal(Lanes.Bits(ExpertLayerRun.Forward(inMemory, problem)), Lanes.Bits(ExpertLayerRun.Forward(mapped, problem)));

        ReadOnlySpan<float> Matrix(int which, int expert) => new((float*)start + (which * Batch.Experts + expert) * size, size);
    }

    [Fact]
    public void Load_InParallelAndInAnyOrder_HasTheBitsOfOneByOne()
    {
        var problem = new ExpertProblem(Batch with { Experts = 32, Width = 6 });
        using ExpertLayer parallel = new(OptionsOf(problem.Setup)), inOrder = LayerOf(problem, ExpertPrecision.Float32);
        int[] experts = [.. Enumerable.Range(0, 32)];
        new Random(3).Shuffle(experts);

        Parallel.ForEach(experts, expert => LoadExpert(parallel, problem, expert));

        Assert.Equal(Lanes.Bits(ExpertLayerRun.Forward(inOrder, problem)), Lanes.Bits(ExpertLayerRun.Forward(parallel, problem)));
    }

    [Fact]
    public void Load_AnExpertAgain_ReplacesIt()
    {
        var (old, next) = (new ExpertProblem(Batch), new ExpertProblem(Batch with { Seed = 2 }));
        using ExpertLayer layer = LayerOf(old, ExpertPrecision.Float32), expected = LayerOf(next, ExpertPrecision.Float32);

        for (int e = 0; e < Batch.Experts; e++) LoadExpert(layer, next, e);

        Assert.Equal(Lanes.Bits(ExpertLayerRun.Forward(expected, next)), Lanes.Bits(ExpertLayerRun.Forward(layer, next)));
    }

    [Fact]
    public void Forward_MissingExperts_AreNamed()
    {
        var problem = new ExpertProblem(Batch with { Experts = 40 });
        using var layer = new ExpertLayer(OptionsOf(problem.Setup));
        foreach (int e in Enumerable.Range(0, 40).Where(e => e is not 3 and not 17)) LoadExpert(layer, problem, e);

        Assert.Equal("The layer is not loaded: 2 of 40 experts have no weights yet: 3, 17; 2 of 40 experts have no biases yet: 3, 17. Load what is missing first.", Assert.Throws<InvalidOperationException>(() => ExpertLayerRun.Forward(layer, problem)).Message);

        foreach (int e in new[] { 3, 17 }) layer.Load(e, Matrix(problem, problem.Gate, e), Matrix(problem, problem.Up, e), Matrix(problem, problem.Down, e));
        Assert.Equal("The layer is not loaded: 2 of 40 experts have no biases yet: 3, 17. Load what is missing first.", Assert.Throws<InvalidOperationException>(() => ExpertLayerRun.Forward(layer, problem)).Message);

        using var empty = new ExpertLayer(OptionsOf(problem.Setup));
        Assert.StartsWith("The layer is not loaded: 40 of 40 experts have no weights yet: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and 24 more; 40 of", Assert.Throws<InvalidOperationException>(() => ExpertLayerRun.Forward(empty, problem)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Forward_WrongArguments_AreNamed()
    {
        var problem = new ExpertProblem(new ExpertSetup());     // 9 tokens of 33
        using var layer = LayerOf(problem, ExpertPrecision.Float32);
        float[] sums = new float[problem.X.Length], both = new float[2 * problem.X.Length - 1];

        Assert.Throws<ArgumentNullException>("plan", () => layer.Forward(problem.X, null!, sums));
        ExpertLayerRun.AssertRefused("tokens has 296 values; expected 297 (9 tokens of the plan · HiddenSize 33).", "tokens", () => layer.Forward(problem.X.AsSpan(1), problem.Plan, sums));
        ExpertLayerRun.AssertRefused("tokens has 297 values; expected 33 (1 tokens of the plan · HiddenSize 33).", "tokens", () => layer.Forward(problem.X, problem.Part(0, 1).Plan, sums));
        ExpertLayerRun.AssertRefused("sums has 296 values; expected 297 (as the tokens).", "sums", () => layer.Forward(problem.X, problem.Plan, sums.AsSpan(1)));
        ExpertLayerRun.AssertRefused("The sums overlap the tokens; give memory of their own.", "sums", () => layer.Forward(problem.X, problem.Plan, problem.X));
        ExpertLayerRun.AssertRefused("The sums overlap the tokens; give memory of their own.", "sums", () => layer.Forward(both.AsSpan(..297), problem.Plan, both.AsSpan(296)));
        ExpertLayerRun.AssertRefused("The plan routes to 7 experts, but the layer has 5; is it of another layer?", "plan", () => layer.Forward(problem.X, new ExpertProblem(new ExpertSetup { Experts = 7 }).Plan, sums));
    }

    /// <summary>The arrays of a plan are open to everybody: no change of one value makes a call read what is not its own.</summary>
    [Fact]
    public void Forward_APlanThatWasChanged_IsRefused()
    {
        var setup = new ExpertSetup();
        using var layer = LayerOf(new ExpertProblem(setup), ExpertPrecision.Float32);
        foreach (int value in new[] { -1, int.MinValue, int.MaxValue, 1_000_000 })
        {
            foreach (Func<RoutingPlan, int[]> choose in new Func<RoutingPlan, int[]>[] { plan => plan.Offsets, plan => plan.Order, plan => plan.Experts })
            {
                for (int i = 0; i < choose(new ExpertProblem(setup).Plan).Length; i++)
                {
                    var problem = new ExpertProblem(setup);
                    choose(problem.Plan)[i] = value;

                    var error = Assert.Throws<ArgumentException>("plan", () => ExpertLayerRun.Forward(layer, problem));
                    Assert.StartsWith("The plan was changed after it was made: ", error.Message, StringComparison.Ordinal);
                }
            }
        }

        var twice = new ExpertProblem(setup with { Pairs = PairPattern.OneExpert });
        twice.Plan.Order[1] = twice.Plan.Order[0];
        Assert.Throws<ArgumentException>("plan", () => ExpertLayerRun.Forward(layer, twice));
    }

    [Fact]
    public void Load_WrongArguments_AreNamed()
    {
        var setup = new ExpertSetup();
        using ExpertLayer layer = new(OptionsOf(setup)), plain = new(OptionsOf(setup with { HasBias = false }));
        float[] right = new float[33 * 17], wrong = new float[33 * 17 - 1];
        ushort[] bits = new ushort[33 * 17];

        Assert.StartsWith("The layer has experts 0..4.", Assert.Throws<ArgumentOutOfRangeException>("expert", () => layer.Load(5, right, right, right)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("expert", () => layer.Load(-1, bits, bits, bits));
        Assert.Throws<ArgumentOutOfRangeException>("expert", () => layer.LoadBias(5, right, right, right));
        ExpertLayerRun.AssertRefused("gate has 560 values; expected 561 (IntermediateSize 17 · HiddenSize 33).", "gate", () => layer.Load(0, wrong, right, right));
        ExpertLayerRun.AssertRefused("up has 560 values; expected 561 (IntermediateSize 17 · HiddenSize 33).", "up", () => layer.Load(0, right, wrong, right));
        ExpertLayerRun.AssertRefused("down has 0 values; expected 561 (IntermediateSize 17 · HiddenSize 33).", "down", () => layer.Load(0, bits, bits, []));
        ExpertLayerRun.AssertRefused("gate has 561 values; expected 17 (IntermediateSize).", "gate", () => layer.LoadBias(0, right, right, right));
        ExpertLayerRun.AssertRefused("up has 33 values; expected 17 (IntermediateSize).", "up", () => layer.LoadBias(0, right.AsSpan(..17), right.AsSpan(..33), right.AsSpan(..33)));
        ExpertLayerRun.AssertRefused("down has 17 values; expected 33 (HiddenSize).", "down", () => layer.LoadBias(0, bits.AsSpan(..17), bits.AsSpan(..17), bits.AsSpan(..17)));
        Assert.Equal("The options of this layer say that experts have no biases; set Experts.HasBias.", Assert.Throws<InvalidOperationException>(() => plain.LoadBias(0, right, right, right)).Message);
    }

    [Fact]
    public void Constructor_WrongArguments_AreNamed()
    {
        var options = OptionsOf(new ExpertSetup());

        Assert.Throws<ArgumentNullException>("options", () => new ExpertLayer(null!));
        Assert.Contains("HiddenSize is 0", Assert.Throws<ArgumentException>(() => new ExpertLayer(options with { HiddenSize = 0 })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>("precision", () => new ExpertLayer(options, (ExpertPrecision)2));
        ExpertLayerRun.AssertRefused("The options have a shared expert of 33 by 2147483647; the kernels take up to 16777216 of each.", "options", () => _ = new ExpertLayer(options with { Shared = new() { IntermediateSize = int.MaxValue } }));
        ExpertLayerRun.AssertRefused("The options have 5 experts of 2147483647 by 17; the kernels take up to 16777216 of each.", "options", () => _ = new ExpertLayer(options with { HiddenSize = int.MaxValue }));
        var error = Assert.Throws<InsufficientMemoryException>(() => new ExpertLayer(OptionsOf(new ExpertSetup { Experts = 1 << 24, Hidden = 1 << 24, Intermediate = 1 << 24 })));
        Assert.StartsWith("There is no memory for the packed weights of 16777216 experts of 16777216 by 16777216", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PackedBytes_OfWholePanels_AreThoseOfTheWeights()
    {
        var setup = new ExpertSetup { Experts = 3, Hidden = 64, Intermediate = 48, HasBias = false };
        using ExpertLayer wide = new(OptionsOf(setup)), narrow = new(OptionsOf(setup), ExpertPrecision.BFloat16), biased = new(OptionsOf(setup with { HasBias = true }));

        Assert.Equal(3 * 3 * 64 * 48 * 4, wide.PackedBytes);
        Assert.Equal(wide.PackedBytes / 2, narrow.PackedBytes);
        Assert.Equal(wide.PackedBytes + 3 * (2 * 48 + 64) * 4, biased.PackedBytes);
        Assert.Equal((OptionsOf(setup), ExpertPrecision.BFloat16), (narrow.Options, narrow.Precision));
    }

    [Fact]
    public void Members_AfterDispose_AreRefused()
    {
        var problem = new ExpertProblem(Batch);
        var layer = LayerOf(problem, ExpertPrecision.Float32);

        layer.Dispose();
        layer.Dispose();

        Assert.Throws<ObjectDisposedException>(() => ExpertLayerRun.Forward(layer, problem));
        Assert.Throws<ObjectDisposedException>(() => LoadExpert(layer, problem, 0));
    }

    /// <summary>Threads that run until the layer is gone, and find either their bits or that it is.</summary>
    [Theory, MemberData(nameof(Precisions))]
    public async Task Dispose_WhileManyThreadsRun_LetsCallsEnd(ExpertPrecision precision)
    {
        var whole = new ExpertProblem(Batch);
        ExpertProblem[] problems = [.. Enumerable.Range(0, 4).Select(i => whole.Part(11 * i, 1 + 9 * i))];
        for (int round = 0; round < 12; round++)
        {
            var layer = LayerOf(whole, precision);
            uint[][] expected = [.. problems.Select(problem => Lanes.Bits(ExpertLayerRun.Forward(layer, problem)))];
            using var started = new CountdownEvent(problems.Length);
            var threads = problems.Select((problem, i) => Task.Factory.StartNew(() => RunToTheEnd(layer, problem, expected[i], started), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();

            started.Wait(TestContext.Current.CancellationToken);
            layer.Dispose();

            Assert.All(await Task.WhenAll(threads), calls => Assert.True(calls > 0));
        }
    }

    private static int RunToTheEnd(ExpertLayer layer, ExpertProblem problem, uint[] expected, CountdownEvent started)
    {
        for (int calls = 0; ; calls++)
        {
            try
            {
                Assert.Equal(expected, Lanes.Bits(ExpertLayerRun.Forward(layer, problem)));
            }
            catch (ObjectDisposedException)
            {
                return calls;
            }
            finally
            {
                if (calls == 0) started.Signal();
            }
        }
    }

    private static void AssertMatches(ExpertSetup setup, ExpertPrecision precision)
    {
        var problem = new ExpertProblem(setup);
        double[] expected = ExpertReference.Of(problem, precision == ExpertPrecision.Float32 ? TileType.Float32 : TileType.BFloat16)[PassValue.Outputs];
        double bound = (precision == ExpertPrecision.Float32 ? 1e-5 : 1e-2) * expected.Select(Math.Abs).Append(1).Max();

        using var layer = LayerOf(problem, precision);
        float[] actual = ExpertLayerRun.Forward(layer, problem);

        for (int i = 0; i < expected.Length; i++) Assert.True(Math.Abs(expected[i] - actual[i]) <= bound, $"[{i}]: {actual[i]:R}, expected {expected[i]:R} ± {bound:R} for {setup} in {precision}");
    }

    private static MoeOptions OptionsOf(ExpertSetup setup) => new()
    {
        HiddenSize = setup.Hidden,
        Router = new() { ExpertCount = setup.Experts, TopK = Math.Max(1, setup.Width), ApplyTo = setup.ApplyTo },
        Experts = new() { IntermediateSize = setup.Intermediate, Activation = setup.Activation, Limit = setup.Limit, HasBias = setup.HasBias },
    };

    private static ExpertLayer LayerOf(ExpertProblem problem, ExpertPrecision precision)
    {
        var layer = new ExpertLayer(OptionsOf(problem.Setup), precision);
        for (int e = 0; e < problem.Setup.Experts; e++) LoadExpert(layer, problem, e);
        return layer;
    }

    private static void LoadExpert(ExpertLayer layer, ExpertProblem problem, int expert)
    {
        var setup = problem.Setup;
        layer.Load(expert, Matrix(problem, problem.Gate, expert), Matrix(problem, problem.Up, expert), Matrix(problem, problem.Down, expert));
        if (setup.HasBias) layer.LoadBias(expert, Part(problem.GateBias!, expert, setup.Intermediate), Part(problem.UpBias!, expert, setup.Intermediate), Part(problem.DownBias!, expert, setup.Hidden));
    }

    private static ReadOnlySpan<float> Matrix(ExpertProblem problem, float[] values, int expert) => Part(values, expert, problem.Setup.Hidden * problem.Setup.Intermediate);

    private static ReadOnlySpan<float> Part(float[] values, int expert, int size) => values.AsSpan(expert * size, size);
}
