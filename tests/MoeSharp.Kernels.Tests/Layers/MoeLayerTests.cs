using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class MoeLayerTests
{
    private static readonly MoeOptions Full = new()
    {
        HiddenSize = 12,
        Router = new() { ExpertCount = 5, TopK = 2, HasLogitBias = true, HasCorrectionBias = true, HasPerExpertScale = true, InputNorm = new(1e-6, HasScale: true) },
        Experts = new() { IntermediateSize = 7, HasBias = true },
        Shared = new() { IntermediateSize = 9, IsGated = true },
    };

    private static readonly MoeOptions Plain = new() { HiddenSize = 12, Router = new() { ExpertCount = 5, TopK = 2 }, Experts = new() { IntermediateSize = 7 } };

    [Fact]
    public void Forward_AnyOptions_IsTheGateThenTheRoutingThenTheExperts() => MoeProblem.Any.ForEach(500, problem =>
    {
        var (logits, plan, output) = problem.Expected();
        using var layer = problem.Layer();
        float[] actual = NaNs(output.Length), actualLogits = NaNs(logits.Length), ofPlan = NaNs(output.Length);

        var actualPlan = layer.Forward(problem.X, actual, problem.Call);
        var routed = layer.Route(problem.RouterInput, actualLogits, problem.Call);
        layer.Forward(problem.X, routed, ofPlan);

        Assert.Equal(Lanes.Bits(logits), Lanes.Bits(actualLogits));
        foreach (var made in new[] { actualPlan, routed })
        {
            Assert.Equal(plan.Experts, made.Experts);
            Assert.Equal(Lanes.Bits(plan.Weights), Lanes.Bits(made.Weights));
            Assert.Equal(plan.Order, made.Order);
        }

        Assert.Equal(Lanes.Bits(output), Lanes.Bits(actual));
        Assert.Equal(Lanes.Bits(output), Lanes.Bits(ofPlan));
    });

    [Fact]
    public void Forward_ATokenAlone_HasItsBitsInABatch() => MoeProblem.AnyPerToken.ForEach(60, problem =>
    {
        int D = problem.Options.HiddenSize;
        using var layer = problem.Layer();
        float[] batch = NaNs(problem.X.Length), alone = NaNs(D);
        layer.Forward(problem.X, batch);

        for (int token = 0; token < problem.Tokens; token++)
        {
            layer.Forward(problem.X.AsSpan(token * D, D), alone);

            Assert.Equal(Lanes.Bits(batch[(token * D)..((token + 1) * D)]), Lanes.Bits(alone));
        }
    });

    [Fact]
    public void LoadRouter_BitsOfBFloat16_HasTheBitsOfTheirFloat32()
    {
        var problem = new MoeProblem(Full, length: 3, seed: 1);
        Lanes.Narrow(problem.Router);
        using MoeLayer wide = problem.Layer(), narrow = problem.Layer();

        narrow.LoadRouter(Lanes.ToBFloat16(problem.Router));

        Assert.Equal(Lanes.Bits(Forward(wide, problem)), Lanes.Bits(Forward(narrow, problem)));
    }

    [Fact]
    public void Forward_WhatWasNotLoaded_IsListedAtOnce()
    {
        var problem = new MoeProblem(Full, length: 1, seed: 1);
        using var layer = new MoeLayer(Full);

        Assert.Equal(
            "The layer is not loaded: the router has no weight yet; the router has no logit bias yet; the router has no input scale yet; the router has no correction bias yet; the router has no per-expert scale yet; "
            + "5 of 5 experts have no weights yet: 0, 1, 2, 3, 4; 5 of 5 experts have no biases yet: 0, 1, 2, 3, 4; the shared expert has no weights yet. Load what is missing first.",
            Assert.Throws<InvalidOperationException>(() => Forward(layer, problem)).Message);

        problem.LoadExperts(layer.Experts);
        layer.LoadRouter(problem.Router);
        layer.LoadLogitBias(problem.LogitBias);
        layer.LoadInputScale(problem.InputScale);

        Assert.Equal(
            "The layer is not loaded: the router has no correction bias yet; the router has no per-expert scale yet. Load what is missing first.",
            Assert.Throws<InvalidOperationException>(() => Forward(layer, problem)).Message);
    }

    [Fact]
    public void Forward_HalfALayer_RunsWhatItHas()
    {
        var problem = new MoeProblem(Full, length: 2, seed: 1);
        float[] output = new float[problem.X.Length];
        using MoeLayer whole = problem.Layer(), router = new(Full), experts = new(Full);
        problem.LoadRouter(router);
        problem.LoadExperts(experts.Experts);

        experts.Forward(problem.X, router.Route(problem.X, call: problem.Call), output);

        Assert.Equal(Lanes.Bits(Forward(whole, problem)), Lanes.Bits(output));
    }

    [Fact]
    public void Load_WhatTheOptionsDoNotHave_IsRefused()
    {
        using var layer = new MoeLayer(Plain);

        Refused("has no logit bias; set Router.HasLogitBias.", () => layer.LoadLogitBias(new float[5]));
        Refused("has no input scale; set Router.InputNorm with HasScale.", () => layer.LoadInputScale(new float[12]));
        Refused("has no correction bias; set Router.HasCorrectionBias.", () => layer.LoadCorrectionBias(new float[5]));
        Refused("has no per-expert scale; set Router.HasPerExpertScale.", () => layer.LoadPerExpertScale(new float[5]));
        Refused("has no quantile bias; set Router.Select to QuantileBalance.", () => layer.LoadQuantileBias(new float[5]));
        Refused("has no token table; set Router.Select to TokenTable.", () => layer.LoadTokenTable(new long[5]));

        static void Refused(string message, Action load) =>
            Assert.Equal($"The options of this layer say that its router {message}", Assert.Throws<InvalidOperationException>(load).Message);
    }

    [Fact]
    public void Load_WrongArguments_AreNamed()
    {
        using var layer = new MoeLayer(Full);
        using var hashed = new MoeLayer(Plain with { Router = Plain.Router with { Select = new Selection.TokenTable(3) } });

        ExpertLayerRun.AssertRefused("weight has 5 values; expected 60 (ExpertCount 5 · HiddenSize 12).", "weight", () => layer.LoadRouter(new float[5]));
        ExpertLayerRun.AssertRefused("bias has 12 values; expected 5 (ExpertCount).", "bias", () => layer.LoadCorrectionBias(new float[12]));
        ExpertLayerRun.AssertRefused("scale has 0 values; expected 5 (ExpertCount).", "scale", () => layer.LoadPerExpertScale([]));
        ExpertLayerRun.AssertRefused("table has 5 values; expected 6 (VocabularySize 3 · TopK 2).", "table", () => hashed.LoadTokenTable(new long[5]));
        ExpertLayerRun.AssertRefused("The token table sends id 1 to expert 5; expected 0..4.", "table", () => hashed.LoadTokenTable([0, 4, 5, 0, 0, 0]));
    }

    [Fact]
    public void Forward_WrongArguments_AreNamed()
    {
        var problem = new MoeProblem(Plain, length: 1, seed: 1);     // 8 tokens of 12
        using var layer = problem.Layer();
        float[] x = problem.X, output = new float[x.Length];

        ExpertLayerRun.AssertRefused("tokens has 95 values; expected a multiple of HiddenSize 12, one row per token.", "tokens", () => layer.Forward(x.AsSpan(1), output.AsSpan(1)));
        ExpertLayerRun.AssertRefused("output has 95 values; expected 96 (as the tokens).", "output", () => layer.Forward(x, output.AsSpan(1)));
        ExpertLayerRun.AssertRefused("The output overlaps the tokens; give memory of its own.", "output", () => layer.Forward(x, x));
        ExpertLayerRun.AssertRefused("8 tokens are not 3 sequences of equal length.", "call", () => layer.Forward(x, output, new MoeCall { Sequences = 3 }));
        ExpertLayerRun.AssertRefused("8 tokens are not 0 sequences of equal length.", "call", () => layer.Forward(x, output, new MoeCall { Sequences = 0 }));
        ExpertLayerRun.AssertRefused("RouterInput has 84 values; expected 96 (as the tokens).", "RouterInput", () => layer.Forward(x, output, new MoeCall { RouterInput = x.AsSpan(12) }));
        ExpertLayerRun.AssertRefused("logits has 39 values; expected 40 (tokens · ExpertCount).", "logits", () => layer.Route(x, new float[39]));
        Assert.StartsWith("Mask has 7 values; expected 8", Assert.Throws<ArgumentException>(() => layer.Forward(x, output, new MoeCall { Mask = new bool[7] })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>("options", () => new MoeLayer(null!));
    }

    [Fact]
    public void Forward_FromManyThreads_HasTheBitsOfOne()
    {
        var problem = new MoeProblem(Full, length: 9, seed: 1);
        using var layer = problem.Layer();
        uint[] expected = Lanes.Bits(Forward(layer, problem));

        Parallel.For(0, 60, new ParallelOptions { MaxDegreeOfParallelism = 6 }, _ => Assert.Equal(expected, Lanes.Bits(Forward(layer, problem))));
    }

    [Fact]
    public async Task Dispose_WhileManyThreadsRun_LetsCallsEnd()
    {
        var problem = new MoeProblem(Full, length: 9, seed: 1);
        for (int round = 0; round < 12; round++)
        {
            var layer = problem.Layer();
            uint[] expected = Lanes.Bits(Forward(layer, problem));
            using var started = new CountdownEvent(4);
            var threads = Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(() => RunToTheEnd(layer, problem, expected, started), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();

            started.Wait(TestContext.Current.CancellationToken);
            layer.Dispose();

            Assert.All(await Task.WhenAll(threads), calls => Assert.True(calls > 0));
        }
    }

    [Fact]
    public void Members_AfterDispose_AreRefused()
    {
        var problem = new MoeProblem(Full, length: 1, seed: 1);
        var layer = problem.Layer();
        var plan = layer.Route(problem.X, call: problem.Call);

        layer.Dispose();
        layer.Dispose();

        Assert.Throws<ObjectDisposedException>(() => Forward(layer, problem));
        Assert.Throws<ObjectDisposedException>(() => layer.Route(problem.X));
        Assert.Throws<ObjectDisposedException>(() => layer.Forward(problem.X, plan, new float[problem.X.Length]));
        Assert.Throws<ObjectDisposedException>(() => problem.LoadRouter(layer));
        Assert.Throws<ObjectDisposedException>(() => problem.LoadExperts(layer.Experts));
    }

    [Fact]
    public void Properties_OfALayer_AreThoseOfItsParts()
    {
        using var layer = new MoeLayer(Full, ExpertPrecision.BFloat16);
        using var gate = new GateKernel(Full);

        Assert.Equal((Full, ExpertPrecision.BFloat16), (layer.Options, layer.Precision));
        Assert.Equal(32 * (12 + 1) * 4, gate.PackedBytes);
        Assert.Equal(gate.PackedBytes + layer.Experts.PackedBytes, layer.PackedBytes);
    }

    private static int RunToTheEnd(MoeLayer layer, MoeProblem problem, uint[] expected, CountdownEvent started)
    {
        for (int calls = 0; ; calls++)
        {
            try
            {
                Assert.Equal(expected, Lanes.Bits(Forward(layer, problem)));
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

    private static float[] Forward(MoeLayer layer, MoeProblem problem)
    {
        float[] output = NaNs(problem.X.Length);
        layer.Forward(problem.X, output, problem.Call);
        return output;
    }

    private static float[] NaNs(int count)
    {
        float[] values = new float[count];
        Array.Fill(values, float.NaN);
        return values;
    }
}
