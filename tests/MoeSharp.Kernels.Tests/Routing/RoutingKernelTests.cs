using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>What holds for the routing kernel by itself: bits that do not depend on company or threads, and what it refuses.</summary>
public sealed class RoutingKernelTests
{
    private static readonly Gen<(RouterOptions Router, int Seed)> Routers = Gen.Select(
        Gen.Int[0, 8].Select(i => new[] { 1, 2, 7, 8, 16, 17, 40, 64, 130 }[i]), Gen.Int[1, 100], Gen.Enum<ScoreFunction>(), Gen.Enum<WeightSource>(), Gen.Enum<Renormalization>(), Gen.Bool, Gen.Bool, Gen.Int[0, 1_000_000],
        (experts, draw, score, weights, renormalize, hasBias, hasScale, seed) => (
            new RouterOptions
            {
                ExpertCount = experts,
                TopK = 1 + (draw % Math.Min(experts, 10)),
                Score = score,
                Weights = weights,
                Renormalize = score == ScoreFunction.Identity ? Renormalization.Never : renormalize,
                HasCorrectionBias = hasBias,
                HasPerExpertScale = hasScale,
                GroupLimit = experts % 8 == 0 && draw % 2 == 0 ? new(experts / 8, Math.Max(experts / 16, 1) + 1 > experts / 8 ? experts / 8 : Math.Max(experts / 16, 1) + 1, GroupRanking.TopTwoSum) : null,
            },
            seed));

    [Fact]
    public void Route_ATokenAlone_HasTheBitsOfItsRowInABatch() => Routers.Where(r => r.Router.GroupLimit is not { } limit || limit.Keep * 8 >= r.Router.TopK).ForEach(300, sample =>
    {
        const int Tokens = 83;
        var (router, kernel) = (sample.Router, RoutingTestKit.Kernel(sample.Router));
        var (E, K) = (router.ExpertCount, router.TopK);
        float[] logits = RoutingTestKit.Draw(sample.Seed, Tokens * E, 4), bias = RoutingTestKit.Draw(1, E), scale = RoutingTestKit.Draw(2, E), dWeights = RoutingTestKit.Draw(3, Tokens * K);
        var whole = Run(kernel, logits, bias, scale, dWeights);

        for (int token = 0; token < Tokens; token += 9)
        {
            var alone = Run(kernel, logits[(token * E)..((token + 1) * E)], bias, scale, dWeights[(token * K)..((token + 1) * K)]);
            Assert.Equal(alone.Plan.Experts, whole.Plan.Experts[(token * K)..((token + 1) * K)]);
            Assert.Equal(Bits(alone.Plan.Weights), Bits(whole.Plan.Weights[(token * K)..((token + 1) * K)]));
            Assert.Equal(Bits(alone.Gradient), Bits(whole.Gradient[(token * E)..((token + 1) * E)]));
        }
    });

    [Fact]
    public void Backward_WithScoresThatWereKept_GivesTheGradientsOfScoresComputedAgain() => Routers.Where(r => r.Router.GroupLimit is not { } limit || limit.Keep * 8 >= r.Router.TopK).ForEach(300, sample =>
    {
        const int Tokens = 37;
        var (router, kernel) = (sample.Router, RoutingTestKit.Kernel(sample.Router));
        var (E, K) = (router.ExpertCount, router.TopK);
        float[] logits = RoutingTestKit.Draw(sample.Seed, Tokens * E, 4), bias = RoutingTestKit.Draw(1, E), scale = RoutingTestKit.Draw(2, E), dWeights = RoutingTestKit.Draw(3, Tokens * K);
        bool[] mask = [.. Enumerable.Range(0, Tokens).Select(token => token % 3 != 1)];
        long[] given = [.. Enumerable.Range(0, Tokens * K).Select(pair => pair % 5 == 0 ? -1L : (pair + sample.Seed) % E)];
        foreach (long[] experts in new[] { [], given })
        {
            var input = RoutingTestKit.Input(router, logits, bias, scale, mask, experts);
            float[] kept = [.. Enumerable.Repeat(float.NaN, kernel.KeptScores(input))], gradient = new float[logits.Length], again = new float[logits.Length];

            var plan = kernel.Route(input, kept);
            kernel.Backward(input, plan, kept, new RoutingUpstream { Weights = dWeights }, new RoutingGradients { Logits = gradient });
            kernel.Backward(input, plan, [], new RoutingUpstream { Weights = dWeights }, new RoutingGradients { Logits = again });

            Assert.Equal(again, gradient, (a, b) => Math.Abs(a - b) <= 1e-5f * (1 + Math.Abs(a)));
        }
    });

    [Fact]
    public void RouteAndSum_OnOneThread_HaveTheBitsOfAll()
    {
        var losses = new LoadBalanceOptions { Coefficient = 1, Scope = BalanceScope.Sequence, Scores = BalanceScores.RouterNormalized };
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = 64, TopK = 6, Score = ScoreFunction.Sigmoid, HasPerExpertScale = true, Renormalize = Renormalization.Always }, null, losses);
        float[] logits = RoutingTestKit.Draw(1, 3 * 700 * 64), scale = RoutingTestKit.Draw(2, 64), dWeights = RoutingTestKit.Draw(3, 3 * 700 * 6), dScores = RoutingTestKit.Draw(4, 2 * 3 * 64);

        uint[] all = Everything();
        uint[] one = [];
        WorkerPool.Shared.ForEach(1, _ => one = Everything());      // from within the pool, calls run on their own thread

        Assert.Equal(all, one);

        uint[] Everything()
        {
            var input = new RoutingInput { Logits = logits, Sequences = 3, SequenceLength = 700, PerExpertScale = scale };
            float[] kept = new float[kernel.KeptScores(input)], dLogits = new float[logits.Length], dScale = new float[64];
            var plan = kernel.Route(input, kept);
            var sums = kernel.Sum(input, plan);
            kernel.Backward(input, plan, kept, new RoutingUpstream { Weights = dWeights, Scores = dScores, Z = 0.5f }, new RoutingGradients { Logits = dLogits, PerExpertScale = dScale });
            return [.. Bits(plan.Weights), .. Bits(dLogits), .. Bits(dScale), .. sums.Scores.SelectMany(Bits), (uint)BitConverter.DoubleToInt64Bits(sums.Z), (uint)BitConverter.DoubleToInt64Bits(sums.Entropy)];
        }
    }

    [Fact]
    public void MaskedTokens_WhateverTheyHold_ChangeNoBitOfTheOthers()
    {
        var kernel = new RoutingKernel(new MoeOptions
        {
            HiddenSize = 1,
            Experts = new() { IntermediateSize = 1 },
            Router = new() { ExpertCount = 8, TopK = 2, Renormalize = Renormalization.Always },
            Dispatch = new() { Capacity = new() { Factor = 0.8, Scope = CapacityScope.Batch, Drop = DropRule.Probability } },
            LoadBalance = [new() { Coefficient = 1, Scope = BalanceScope.Sequence, Counts = BalanceCounts.TopKOfScores }],
        });
        bool[] mask = [.. Enumerable.Range(0, 60).Select(token => token % 5 != 2)];
        float[] dWeights = RoutingTestKit.Draw(3, 60 * 2);
        float[][] runs = [.. new[] { 0f, 1e30f, float.NaN, float.PositiveInfinity, float.NegativeInfinity }.Select(Run)];

        Assert.All(runs, run => Assert.Equal(Bits(runs[0]), Bits(run)));

        float[] Run(float padding)
        {
            float[] logits = RoutingTestKit.Draw(1, 60 * 8), gradient = new float[60 * 8];
            for (int i = 0; i < logits.Length; i++)
            {
                if (!mask[i / 8]) logits[i] = padding;
            }

            var input = new RoutingInput { Logits = logits, Sequences = 2, SequenceLength = 30, Mask = mask };
            float[] kept = new float[kernel.KeptScores(input)];
            var plan = kernel.Route(input, kept);
            var sums = kernel.Sum(input, plan);
            kernel.Backward(input, plan, kept, new RoutingUpstream { Weights = dWeights, Scores = RoutingTestKit.Draw(5, 16), Z = 1 }, new RoutingGradients { Logits = gradient });
            Assert.All(Enumerable.Range(0, 60).Where(token => !mask[token]), token => Assert.Equal(-1, plan.Experts[token * 2]));
            return [.. plan.Weights, .. gradient, .. sums.Scores[0], .. sums.Routed.Select(count => (float)count), (float)sums.Z, (float)sums.Entropy, .. plan.Order.Select(pair => (float)pair)];
        }
    }

    [Fact]
    public void ExtremeShapes_AreOrdinaryCases()
    {
        var one = RoutingTestKit.Kernel(new() { ExpertCount = 1, TopK = 1 }).Route(new RoutingInput { Logits = [3, -5], Sequences = 1, SequenceLength = 2 });
        Assert.Equal([1f, 1f], one.Weights);

        var none = RoutingTestKit.Kernel(new() { ExpertCount = 4, TopK = 2 }).Route(new RoutingInput { Logits = [], Sequences = 3, SequenceLength = 0 });
        Assert.Equal([0, 0, 0, 0, 0], none.Offsets);

        var all = RoutingTestKit.Kernel(new() { ExpertCount = 20, TopK = 20 }).Route(new RoutingInput { Logits = new float[20], Sequences = 1, SequenceLength = 1 });
        Assert.Equal(Enumerable.Range(0, 20), all.Experts);
    }

    [Theory]
    [InlineData(17, 16)]
    [InlineData(129, 4)]
    [InlineData(300, 10)]
    [InlineData(512, 10)]
    [InlineData(512, 1)]
    [InlineData(1000, 16)]
    public void Route_SoftmaxOfManyExperts_TakesTheFirstOfAPlainSort(int experts, int topK)
    {
        // smooth rows, rows of few values, of neighbours in floating point, of almost nothing but minus infinity, and of what is next to nothing
        var random = new Random(experts + topK);
        const int rows = 40;
        float[] logits = [.. Enumerable.Range(0, rows * experts).Select(i => (i / experts % 5) switch
        {
            0 => random.NextSingle() * 8 - 4,
            1 => random.Next(-2, 3),
            2 => BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(1.5f) + random.Next(8)),
            3 => random.Next(experts) < topK ? 100 * random.NextSingle() : float.NegativeInfinity,
            _ => i % experts == 1 ? 0 : -50 - 50 * random.NextSingle(),
        })];
        float[] scores = new float[logits.Length];
        var input = new RoutingInput { Logits = logits, Sequences = 1, SequenceLength = rows };
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = experts, TopK = topK });

        var (plan, withoutScores) = (kernel.Route(input, scores), kernel.Route(input));

        Assert.Equal(plan.Experts, withoutScores.Experts);
        Assert.Equal(plan.Weights, withoutScores.Weights);

        for (int row = 0; row < rows; row++)
        {
            float[] own = scores[(row * experts)..((row + 1) * experts)];
            Assert.Equal(Enumerable.Range(0, experts).OrderByDescending(e => own[e]).Take(topK), plan.Experts[(row * topK)..((row + 1) * topK)]);
            Assert.Equal(own.OrderDescending().Take(topK), plan.Weights[(row * topK)..((row + 1) * topK)]);
            Assert.Equal(1, own.Sum(), 1e-5);
        }
    }

    [Fact]
    public void Random_Draws_AreEvenDifferentAndRepeat()
    {
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = 8, TopK = 3, Select = new Selection.Random(), Seed = 5 });
        RoutingPlan Route(long step) => kernel.Route(new RoutingInput { Logits = new float[8 * 4000], Sequences = 1, SequenceLength = 4000, Step = step });

        var plan = Route(1);

        Assert.Equal(plan.Experts, Route(1).Experts);
        Assert.NotEqual(plan.Experts, Route(2).Experts);
        Assert.All(plan.Experts.Chunk(3), experts => Assert.Equal(3, experts.Distinct().Count()));
        Assert.All(plan.Offsets.Zip(plan.Offsets.Skip(1), (start, end) => end - start), load => Assert.InRange(load, 1350, 1650));
    }

    [Fact]
    public void Route_WrongInput_SaysWhatFits()
    {
        var plain = RoutingTestKit.Kernel(new() { ExpertCount = 4, TopK = 2, HasCorrectionBias = true });
        var table = RoutingTestKit.Kernel(new() { ExpertCount = 4, TopK = 1, Select = new Selection.TokenTable(3) });
        var forced = RoutingTestKit.Kernel(new() { ExpertCount = 4, TopK = 1, Select = new Selection.Forced() });
        float[] bias = new float[4];

        Refused("Logits has 7 values; expected 8", () => plain.Route(new RoutingInput { Logits = new float[7], Sequences = 1, SequenceLength = 2, CorrectionBias = bias }));
        Refused("CorrectionBias has 0 values; expected 4", () => plain.Route(new RoutingInput { Logits = new float[8], Sequences = 1, SequenceLength = 2 }));
        Refused("Mask has 3 values; expected 2", () => plain.Route(new RoutingInput { Logits = new float[8], Sequences = 1, SequenceLength = 2, CorrectionBias = bias, Mask = new bool[3] }));
        Refused("The id of token 1 is 3, but the token table has rows 0..2", () => table.Route(new RoutingInput { Logits = new float[8], Sequences = 1, SequenceLength = 2, TokenIds = [0, 3], Table = new long[3] }));
        Refused("The token table sends id 1 to expert 9", () => table.Route(new RoutingInput { Logits = new float[8], Sequences = 1, SequenceLength = 2, TokenIds = [0, 1], Table = [0, 9, 0] }));
        Refused("The router's selection is Forced, but no experts were given", () => forced.Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1 }));
        Assert.Equal([2], table.Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1, TokenIds = [0], Table = [2, 9, 0] }).Experts);       // nobody asked for the row of id 1
        Refused("The expert given to token 0 is 4; expected 0..3", () => forced.Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1, Experts = [4] }));
        Refused("Token 0 was given expert 2 twice", () => forced.Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1, Experts = [2, 2] }));

        var plan = table.Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1, TokenIds = [0], Table = new long[3] });
        var routed = new float[4];
        Refused("PerExpertScale has 4 values; expected 0", () => table.Backward(new RoutingInput { Logits = routed, Sequences = 1, SequenceLength = 1 }, plan, [], default, new() { Logits = new float[4], PerExpertScale = new float[4] }));
        Refused("CorrectionBias has 4 values; expected 0", () => table.Backward(new RoutingInput { Logits = routed, Sequences = 1, SequenceLength = 1 }, plan, [], default, new() { Logits = new float[4], CorrectionBias = new float[4] }));

        // padding that is routed all the same needs ids too
        var mixer = new MoeOptions { HiddenSize = 1, Experts = new() { IntermediateSize = 1 }, MaskScope = MaskScope.Losses, Router = new() { ExpertCount = 4, TopK = 2, Select = new Selection.SparseMixer() } };
        var losses = new RoutingKernel(mixer with { Router = table.Options.Router });
        Refused("The id of token 0 is 40", () => losses.Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1, Mask = [false], TokenIds = [40], Table = new long[3] }));
        Refused("Token 0 was given fewer than two experts", () => new RoutingKernel(mixer).Route(new RoutingInput { Logits = new float[4], Sequences = 1, SequenceLength = 1, Mask = [false], Experts = [-1, -1] }));

        bias[3] = float.NaN;
        Assert.StartsWith("CorrectionBias of expert 3 is not a number", Assert.Throws<MoeException>(() => plain.Route(new RoutingInput { Logits = new float[8], Sequences = 1, SequenceLength = 2, CorrectionBias = bias })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Backward_WithAPlanOfAnotherInput_IsRefusedBeforeAnythingIsRead()
    {
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = 4, TopK = 2, Score = ScoreFunction.Sigmoid });
        var three = kernel.Route(new RoutingInput { Logits = new float[12], Sequences = 1, SequenceLength = 3 });
        var wide = kernel.Route(new RoutingInput { Logits = new float[8], Sequences = 1, SequenceLength = 2, Experts = [0, 1, 2, 1, 2, 3] });

        Refused("The plan is of 3 tokens and 4 experts; expected 2 and 4", () => Backward(three, []));
        Refused("The plan is of 3 tokens and 4 experts; expected 2 and 4", () => kernel.Sum(Input(), three));
        Refused("Scores has 4 values; expected 6", () => Backward(wide, new float[4]));

        RoutingInput Input() => new() { Logits = new float[8], Sequences = 1, SequenceLength = 2 };
        void Backward(RoutingPlan plan, float[] scores) => kernel.Backward(Input(), plan, scores, new RoutingUpstream { Weights = new float[plan.Weights.Length] }, new RoutingGradients { Logits = new float[8] });
    }

    [Fact]
    public void Route_SeveralFaultyTokens_NamesTheFirstWhateverThreadSawIt()
    {
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = 64, TopK = 2 });
        float[] logits = RoutingTestKit.Draw(1, 64 * 2000);
        foreach (int token in (int[])[1999, 1203, 777]) logits[(token * 64) + 5] = float.NaN;

        var error = Assert.Throws<MoeException>(() => kernel.Route(new RoutingInput { Logits = logits, Sequences = 1, SequenceLength = 2000 }));

        Assert.StartsWith("The router logit of token 777 for expert 5 is not a number", error.Message, StringComparison.Ordinal);
    }

    private static void Refused(string start, Action act) => Assert.StartsWith(start, Assert.Throws<ArgumentException>(act).Message, StringComparison.Ordinal);

    private static (RoutingPlan Plan, float[] Gradient) Run(RoutingKernel kernel, float[] logits, float[] bias, float[] scale, float[] dWeights)
    {
        var input = RoutingTestKit.Input(kernel.Options.Router, logits, bias, scale);
        float[] kept = new float[kernel.KeptScores(input)], gradient = new float[logits.Length];
        var plan = kernel.Route(input, kept);
        kernel.Backward(input, plan, kept, new RoutingUpstream { Weights = dWeights }, new RoutingGradients { Logits = gradient });
        return (plan, gradient);
    }

    private static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);
}
