namespace MoeSharp.Kernels.Tests;

/// <summary>Tokens that are routed side by side have the experts, and the bits of weights and scores, of tokens alone.</summary>
public sealed class TokenBlockTests
{
    private const int Tokens = 70;      // four blocks and a rest

    public static TheoryData<int, int> Shapes { get; } =
        [.. from experts in (int[])[1, 2, 7, 8, 9, 16, 17, 33, 64, 100, 128] from topK in Enumerable.Range(1, Math.Min(experts, 8)) select (experts, topK)];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RouteOfBlocks_AnyShape_HasTheBitsOfRows(int experts, int topK)
    {
        float[] logits = RoutingTestKit.Draw(experts * 10 + topK, Tokens * experts, 4), bias = RoutingTestKit.Draw(1, experts), scale = RoutingTestKit.Draw(2, experts);

        foreach (var router in Routers(experts, topK)) AssertBitsOfRows(router, logits, bias, scale);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RouteOfBlocks_EqualScores_TakesTheLowestExperts(int experts, int topK)
    {
        var random = new Random(experts + topK);
        float[] few = [.. Enumerable.Range(0, Tokens * experts).Select(_ => (float)random.Next(-2, 3))], zeros = new float[experts];

        foreach (var router in Routers(experts, topK)) AssertBitsOfRows(router, few, zeros, RoutingTestKit.Draw(2, experts));

        var same = Route(new() { ExpertCount = experts, TopK = topK }, new float[Tokens * experts], zeros, zeros, null);
        Assert.All(same.Plan.Experts.Chunk(topK), chosen => Assert.Equal(Enumerable.Range(0, topK), chosen));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RouteOfBlocks_ScoresThatDifferInTheirLastBits_TakesTheLarger(int experts, int topK)
    {
        // among the largest a few neighbours in floating point, the larger ones not first
        var random = new Random(experts * 7 + topK);
        float[] logits = RoutingTestKit.Draw(experts, Tokens * experts, 1);
        for (int i = 0; i < logits.Length; i++)
        {
            if (random.Next(3) == 0) logits[i] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(1.5f) + random.Next(5) * random.Next(20));
        }

        foreach (var router in Routers(experts, topK)) AssertBitsOfRows(router, logits, new float[experts], RoutingTestKit.Draw(2, experts));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RouteOfBlocks_InfinitiesAndSignedZeros_HasTheBitsOfRows(int experts, int topK)
    {
        // a sum of infinities is no weight: nothing is renormalised
        float[] kinds = [float.NegativeInfinity, -0f, 0f, 1e-30f, -1e-30f, float.PositiveInfinity, -200, 3, 3];
        var random = new Random(experts + topK);
        float[] logits = [.. Enumerable.Range(0, Tokens * experts).Select(_ => kinds[random.Next(kinds.Length)])];

        foreach (var score in Enum.GetValues<ScoreFunction>()) AssertBitsOfRows(new() { ExpertCount = experts, TopK = topK, Score = score }, logits, [], []);
    }

    [Theory]
    [InlineData(17)]
    [InlineData(64)]
    [InlineData(128)]
    public void RouteOfBlocks_MaskedTokens_LeavesThemAloneAndRoutesTheOthers(int experts)
    {
        var router = new RouterOptions { ExpertCount = experts, TopK = 4, Renormalize = Renormalization.Always };
        float[] logits = RoutingTestKit.Draw(experts, Tokens * experts, 4);
        bool[] mask = [.. Enumerable.Range(0, Tokens).Select(token => token is < 20 or > 50 || token % 3 != 0)];
        for (int i = 0; i < logits.Length; i++)
        {
            if (!mask[i / experts]) logits[i] = float.NaN;
        }

        var (plan, _) = Route(router, logits, [], [], mask);

        for (int token = 0; token < Tokens; token++)
        {
            var alone = mask[token] ? Alone(router, logits, [], [], token).Plan : null;
            Assert.Equal(alone?.Experts ?? [-1, -1, -1, -1], plan.Experts[(token * 4)..(token * 4 + 4)]);
            Assert.Equal(Bits(alone?.Weights ?? new float[4]), Bits(plan.Weights[(token * 4)..(token * 4 + 4)]));
        }
    }

    [Theory]
    [InlineData(8, 2)]
    [InlineData(33, 1)]
    [InlineData(64, 8)]
    public void RouteOfBlocks_ANaNOfAnyBits_IsAnErrorThatNamesTheToken(int experts, int topK)
    {
        foreach (uint bits in (uint[])[0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF])
        {
            float[] logits = RoutingTestKit.Draw(1, Tokens * experts);
            logits[37 * experts + experts - 1] = BitConverter.UInt32BitsToSingle(bits);
            Span<ScoreFunction> scores = [ScoreFunction.Softmax, ScoreFunction.Sigmoid, ScoreFunction.SqrtSoftplus, ScoreFunction.Identity];
            foreach (var score in scores)
            {
                var error = Assert.Throws<MoeException>(() => Route(new() { ExpertCount = experts, TopK = topK, Score = score }, logits, [], [], null));
                Assert.StartsWith($"The router logit of token 37 for expert {experts - 1} is not a number", error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void RouteOfBlocks_WeightsThatAreNoNumbers_AreAnErrorThatNamesTheToken()
    {
        float[] logits = RoutingTestKit.Draw(1, Tokens * 64);
        logits.AsSpan(21 * 64, 64).Fill(float.NegativeInfinity);

        var error = Assert.Throws<MoeException>(() => Route(new() { ExpertCount = 64, TopK = 8, Score = ScoreFunction.Sigmoid, Renormalize = Renormalization.Always }, logits, [], [], null));

        Assert.StartsWith("The routing weights of token 21 are not numbers", error.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<RouterOptions> Routers(int experts, int topK) =>
        from score in Enum.GetValues<ScoreFunction>()
        from hasBoth in (bool[])[false, true]
        select new RouterOptions
        {
            ExpertCount = experts,
            TopK = topK,
            Score = score,
            Renormalize = score == ScoreFunction.Identity ? Renormalization.Never : Renormalization.Always,
            HasCorrectionBias = hasBoth,
            HasPerExpertScale = hasBoth,
        };

    private static void AssertBitsOfRows(RouterOptions router, float[] logits, float[] bias, float[] scale)
    {
        int K = router.TopK;
        Assert.True(TokenBlock.CanRoute(router));

        var (plan, kept) = Route(router, logits, bias, scale, null);
        int perToken = kept.Length / Tokens;

        for (int token = 0; token < Tokens; token++)
        {
            var alone = Alone(router, logits, bias, scale, token);
            Assert.Equal(alone.Plan.Experts, plan.Experts[(token * K)..((token + 1) * K)]);
            Assert.Equal(Bits(alone.Plan.Weights), Bits(plan.Weights[(token * K)..((token + 1) * K)]));
            Assert.Equal(Bits(alone.Kept), Bits(kept[(token * perToken)..((token + 1) * perToken)]));
        }
    }

    private static (RoutingPlan Plan, float[] Kept) Alone(RouterOptions router, float[] logits, float[] bias, float[] scale, int token) =>
        Route(router, logits[(token * router.ExpertCount)..((token + 1) * router.ExpertCount)], bias, scale, null);

    private static (RoutingPlan Plan, float[] Kept) Route(RouterOptions router, float[] logits, float[] bias, float[] scale, bool[]? mask)
    {
        var kernel = RoutingTestKit.Kernel(router);
        var input = RoutingTestKit.Input(router, logits, bias, scale, mask);
        float[] kept = new float[kernel.KeptScores(input)];
        return (kernel.Route(input, kept), kept);
    }

    private static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);
}
