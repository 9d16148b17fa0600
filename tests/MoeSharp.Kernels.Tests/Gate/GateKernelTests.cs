using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class GateKernelTests
{
    private static readonly Gen<RouterInputNorm?> Norms =
        Gen.Select(Gen.Int[0, 2], Gen.Double[1e-8, 0.5], (kind, epsilon) => kind == 0 ? null : new RouterInputNorm(epsilon, HasScale: kind == 2));

    private static readonly Gen<GateProblem> Problems = Gen.Select(
        Gen.OneOf(Gen.Int[0, 20], Gen.Int[0, 130]), Gen.OneOf(Gen.Int[1, 40], Gen.Int[1, 300]), Gen.OneOf(Gen.Int[1, 40], Gen.Int[1, 140]), Gen.Bool, Norms, Gen.Int[0, 1_000_000],
        (tokens, hidden, experts, hasBias, norm, seed) => new GateProblem(tokens, hidden, experts, hasBias, norm, seed));

    private static readonly GateProblem Batch = new(Tokens: 150, Hidden: 75, Experts: 70, HasBias: true, new RouterInputNorm(1e-6, HasScale: true), Seed: 1);

    public static TheoryData<string> Kernels { get; } = [.. KernelCatalog.RunnableTiles.Where(kernel => kernel.Type == TileType.Float32).Select(kernel => kernel.Name)];

    [Fact]
    public void Forward_AnyGate_MatchesDoublePrecision() => Problems.ForEach(200, problem =>
    {
        using var gate = problem.Gate();

        AssertMatches(problem, Forward(gate, problem.X));
    });

    [Theory, MemberData(nameof(Kernels))]
    public unsafe void Run_AnyKernelAndThreads_MatchesDoublePrecisionWithTheSameBits(string name)
    {
        using WorkerPool one = new(1), two = new(2), eight = new(8);
        using var memory = new PassMemory();
        var kernel = KernelCatalog.RunnableTiles.Single(kernel => kernel.Name == name);
        Problems.ForEach(60, problem =>
        {
            using var panels = problem.Panels();
            using var arrays = new GuardedArrays(problem.Seed % 2 == 0);
            var pass = new GatePass(panels, kernel);
            float* x = arrays.Of(problem.X);
            float[] alone = Run(one);

            AssertMatches(problem, alone);
            foreach (var pool in new[] { two, eight }) Assert.Equal(Lanes.Bits(alone), Lanes.Bits(Run(pool)));

            float[] Run(WorkerPool pool)
            {
                int size = problem.Tokens * problem.Experts;
                float* logits = arrays.Room(size);
                pass.Run(pool, memory, x, problem.Tokens, logits);
                return new Span<float>(logits, size).ToArray();
            }
        });
    }

    [Fact]
    public void Forward_ATokenAlone_HasItsBitsInABatch() => Problems.Where(problem => problem.Tokens > 0).ForEach(30, problem =>
    {
        using var gate = problem.Gate();
        float[] batch = Forward(gate, problem.X);

        for (int token = 0; token < problem.Tokens; token++)
        {
            float[] alone = Forward(gate, problem.X[(token * problem.Hidden)..((token + 1) * problem.Hidden)]);

            Assert.Equal(Lanes.Bits(batch[(token * problem.Experts)..((token + 1) * problem.Experts)]), Lanes.Bits(alone));
        }
    });

    [Fact]
    public void LoadWeight_BitsOfBFloat16_HasTheBitsOfTheirFloat32() => Problems.ForEach(50, problem =>
    {
        using GateKernel wide = problem.Gate(), narrow = problem.Gate();

        narrow.LoadWeight(Lanes.ToBFloat16(problem.Weight));

        Assert.Equal(Lanes.Bits(Forward(wide, problem.X)), Lanes.Bits(Forward(narrow, problem.X)));
    });

    [Fact]
    public void Load_Again_ReplacesWhatWasThere()
    {
        var next = Batch with { Seed = 7 };
        var drawn = new GateProblem(next.Tokens, next.Hidden, next.Experts, next.HasBias, next.Norm, next.Seed);
        using GateKernel gate = Batch.Gate(), expected = drawn.Gate();

        gate.LoadWeight(drawn.Weight);
        gate.LoadBias(drawn.Bias);
        gate.LoadScale(drawn.Scale);

        Assert.Equal(Lanes.Bits(Forward(expected, Batch.X)), Lanes.Bits(Forward(gate, Batch.X)));
    }

    [Fact]
    public void Forward_FromManyThreads_HasTheBitsOfOne()
    {
        using var gate = Batch.Gate();
        uint[] expected = Lanes.Bits(Forward(gate, Batch.X));

        Parallel.For(0, 60, new ParallelOptions { MaxDegreeOfParallelism = 6 }, _ => Assert.Equal(expected, Lanes.Bits(Forward(gate, Batch.X))));
    }

    [Fact]
    public void Forward_WrongArguments_AreNamed()
    {
        using var gate = Batch.Gate();
        float[] x = Batch.X, logits = new float[Batch.Tokens * Batch.Experts];

        ExpertLayerRun.AssertRefused("tokens has 11249 values; expected a multiple of HiddenSize 75, one row per token.", "tokens", () => gate.Forward(x.AsSpan(1), logits));
        ExpertLayerRun.AssertRefused("logits has 10499 values; expected 10500 (tokens · ExpertCount).", "logits", () => gate.Forward(x, logits.AsSpan(1)));
        ExpertLayerRun.AssertRefused("The logits overlap the tokens; give memory of their own.", "logits", () => gate.Forward(x, x.AsSpan(0, logits.Length)));
    }

    [Fact]
    public void Load_WrongArguments_AreNamed()
    {
        using GateKernel gate = new(Batch.Options), plain = new((Batch with { HasBias = false, Norm = new RouterInputNorm(1e-6) }).Options);

        ExpertLayerRun.AssertRefused("weight has 74 values; expected 5250 (ExpertCount 70 · HiddenSize 75).", "weight", () => gate.LoadWeight(new float[74]));
        ExpertLayerRun.AssertRefused("weight has 0 values; expected 5250 (ExpertCount 70 · HiddenSize 75).", "weight", () => gate.LoadWeight(ReadOnlySpan<ushort>.Empty));
        ExpertLayerRun.AssertRefused("bias has 75 values; expected 70 (ExpertCount).", "bias", () => gate.LoadBias(new float[75]));
        ExpertLayerRun.AssertRefused("scale has 70 values; expected 75 (HiddenSize).", "scale", () => gate.LoadScale(new float[70]));
        Assert.Equal("The options of this layer say that its router has no logit bias; set Router.HasLogitBias.", Assert.Throws<InvalidOperationException>(() => plain.LoadBias(Batch.Bias)).Message);
        Assert.Equal("The options of this layer say that its router has no input scale; set Router.InputNorm with HasScale.", Assert.Throws<InvalidOperationException>(() => plain.LoadScale(Batch.Scale)).Message);
    }

    [Fact]
    public void Forward_WhatWasNotLoaded_IsListed()
    {
        using var gate = new GateKernel(Batch.Options);

        Assert.Equal("The layer is not loaded: the router has no weight yet; the router has no logit bias yet; the router has no input scale yet. Load what is missing first.", Assert.Throws<InvalidOperationException>(() => Forward(gate, Batch.X)).Message);

        gate.LoadWeight(Batch.Weight);
        gate.LoadScale(Batch.Scale);

        Assert.Equal("The layer is not loaded: the router has no logit bias yet. Load what is missing first.", Assert.Throws<InvalidOperationException>(() => Forward(gate, Batch.X)).Message);
    }

    [Fact]
    public void Members_AfterDispose_AreRefused()
    {
        var gate = Batch.Gate();

        gate.Dispose();
        gate.Dispose();

        Assert.Throws<ObjectDisposedException>(() => Forward(gate, Batch.X));
        Assert.Throws<ObjectDisposedException>(() => gate.LoadWeight(Batch.Weight));
        Assert.Throws<ObjectDisposedException>(() => gate.LoadBias(Batch.Bias));
        Assert.Throws<ObjectDisposedException>(() => gate.LoadScale(Batch.Scale));
    }

    private static float[] Forward(GateKernel gate, float[] tokens)
    {
        float[] logits = new float[tokens.Length / gate.Options.HiddenSize * gate.Options.Router.ExpertCount];
        Array.Fill(logits, float.NaN);
        gate.Forward(tokens, logits);
        return logits;
    }

    // a chain of n roundings, of terms that were rounded a few times themselves
    private static void AssertMatches(GateProblem problem, float[] actual)
    {
        var expected = problem.Expected();
        Assert.Equal(expected.Length, actual.Length);
        double unit = (problem.Hidden + 10) * Math.Pow(2, -24);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i].Logit - actual[i]) <= unit * expected[i].Size, $"[{i}]: {actual[i]:R}, expected {expected[i].Logit:R} ± {unit * expected[i].Size:R}");
    }
}
