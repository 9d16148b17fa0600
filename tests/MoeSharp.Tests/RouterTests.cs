using static TorchSharp.torch;

namespace MoeSharp.Tests;

public sealed class RouterTests
{
    // the worked examples of the option's documentation; computed by hand in double precision
    private static readonly float[] Example = [0.3f, -1.2f, 2.0f, 0.7f, 1.9f, -0.4f, 0.0f, 1.1f];
    private static readonly float[] ExampleBias = [0, 0.9f, 0, 0, -0.2f, 0.6f, 0.5f, 0];

    private static readonly RouterOptions TopTwoOfEight = new() { ExpertCount = 8, TopK = 2 };

    [Fact]
    public void Plan_SoftmaxScores_WeightsAreTheProbabilities() =>
        CheckExample(TopTwoOfEight, (2, 0.329659), (4, 0.298288));

    [Fact]
    public void Plan_RenormalizedOrSoftmaxOfSelected_AreTheSameWeights()
    {
        CheckExample(TopTwoOfEight with { Renormalize = Renormalization.Always }, (2, 0.524979), (4, 0.475021));
        CheckExample(TopTwoOfEight with { Weights = WeightSource.SoftmaxOfSelected }, (2, 0.524979), (4, 0.475021));
    }

    [Fact]
    public void Plan_CorrectionBias_ChoosesButDoesNotWeigh() =>
        CheckExample(DeepSeek, (1, 0.914506), (5, 1.585494));

    [Fact]
    public void Plan_GroupsByTheSumOfTheirBestTwo_KeepsTheBestGroups() =>
        CheckExample(DeepSeek with { GroupLimit = new GroupLimit(4, 2, GroupRanking.TopTwoSum) }, (1, 0.791125), (6, 1.708875));

    [Fact]
    public void Plan_GroupsByTheirBest_KeepsTheBestGroups() =>
        CheckExample(TopTwoOfEight with { GroupLimit = new GroupLimit(2, 1, GroupRanking.Max), Score = ScoreFunction.Identity }, (2, 2.0), (3, 0.7));

    [Fact]
    public void Plan_OnlyNegativeChoicesInTheKeptGroup_StillStaysInside()
    {
        using var scope = NewDisposeScope();
        var options = new RouterOptions { ExpertCount = 4, TopK = 2, Score = ScoreFunction.Identity, GroupLimit = new GroupLimit(2, 1, GroupRanking.Max) };

        var plan = Route(options, tensor(new[] { -3f, -2f, -1f, -9f }).reshape(1, 4));

        Assert.Equal([2, 3], TensorAssert.Values(plan.Experts));
    }

    [Fact]
    public void Plan_SigmoidAndSqrtSoftplus_HaveTheirValues()
    {
        CheckExample(TopTwoOfEight with { TopK = 1, Score = ScoreFunction.Sigmoid }, (2, 0.880797));
        CheckExample(TopTwoOfEight with { TopK = 1, Score = ScoreFunction.SqrtSoftplus }, (2, 1.4583991));
    }

    [Theory]
    [InlineData(4, 2)]
    [InlineData(64, 8)]
    [InlineData(5, 5)]
    public void Plan_EqualLogits_TakesTheLowestExperts(int expertCount, int topK)
    {
        using var scope = NewDisposeScope();
        var options = new RouterOptions { ExpertCount = expertCount, TopK = topK };

        var plan = Route(options, zeros(3, expertCount));

        Assert.Equal([.. Enumerable.Repeat(Enumerable.Range(0, topK).Select(e => (double)e), 3).SelectMany(e => e)], TensorAssert.Values(plan.Experts));
    }

    [Fact]
    public void Plan_TieAtTheLastPlace_TakesTheLowerExpert()
    {
        using var scope = NewDisposeScope();
        var options = new RouterOptions { ExpertCount = 5, TopK = 2 };

        var plan = Route(options, tensor(new[] { 1f, 3f, 3f, 2f, 3f }).reshape(1, 5));

        Assert.Equal([1, 2], TensorAssert.Values(plan.Experts));
    }

    [Fact]
    public void Plan_AnyRouting_OrdersRowsByExpertThenByToken()
    {
        using var scope = NewDisposeScope();
        var options = new RouterOptions { ExpertCount = 5, TopK = 2 };

        var plan = Route(options, AnyLayer.Draw(new Random(3), 40, 5));

        var experts = TensorAssert.Values(plan.Experts);
        Assert.Equal(Enumerable.Range(0, 80).OrderBy(row => experts[row]).ThenBy(row => row).Select(row => (double)row), TensorAssert.Values(plan.Order));
        Assert.Equal(Enumerable.Range(0, 5).Select(e => (long)experts.Count(id => id == e)), plan.Counts);
        Assert.Equal($"40 tokens to 5 experts, rows per expert [{string.Join(", ", plan.Counts)}]", plan.Plan.ToString());
    }

    [Fact]
    public void Plan_LogitThatIsNotANumber_NamesTheTokenAndTheExpert()
    {
        using var scope = NewDisposeScope();
        var options = TopTwoOfEight;
        var logits = zeros(3, 8);
        logits[1, 5] = float.NaN;

        var error = Assert.Throws<MoeException>(() => Route(options, logits));

        Assert.StartsWith("The router logit of token 1 for expert 5 is not a number", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_InfiniteLogits_HaveTheWeightsOfTheirLimit()
    {
        using var scope = NewDisposeScope();
        float inf = float.PositiveInfinity;
        var logits = tensor(new[] { 0, inf, 1, inf, /**/ 3, -inf, inf, 2, /**/ -inf, -inf, -inf, -inf, /**/ -inf, 1, -inf, -inf }).reshape(4, 4);

        var plan = Route(new RouterOptions { ExpertCount = 4, TopK = 2 }, logits);

        Assert.Equal([1, 3, /**/ 2, 0, /**/ 0, 1, /**/ 1, 0], TensorAssert.Values(plan.Experts));
        Assert.Equal([0.5, 0.5, /**/ 1, 0, /**/ 0.25, 0.25, /**/ 1, 0], TensorAssert.Values(plan.Weights));
    }

    [Fact]
    public void Plan_InfiniteSigmoidLogit_IsRouted()
    {
        using var scope = NewDisposeScope();
        var options = TopTwoOfEight with { Score = ScoreFunction.Sigmoid, TopK = 1 };
        var logits = zeros(1, 8);
        logits[0, 5] = float.PositiveInfinity;

        var plan = Route(options, logits);

        Assert.Equal([5], TensorAssert.Values(plan.Experts));
    }

    [Fact]
    public void Plan_SelectedScoresThatSumToZero_AsksForAnEpsilon()
    {
        using var scope = NewDisposeScope();
        var options = TopTwoOfEight with { Score = ScoreFunction.Sigmoid, Renormalize = Renormalization.Always };

        var error = Assert.Throws<MoeException>(() => Route(options, full(2, 8, -1000f)));

        Assert.Contains("token 0", error.Message, StringComparison.Ordinal);
        Assert.Contains("Set RenormalizeEpsilon", error.Message, StringComparison.Ordinal);
    }

    private static RouterOptions DeepSeek => TopTwoOfEight with
    {
        Score = ScoreFunction.Sigmoid,
        HasCorrectionBias = true,
        Renormalize = Renormalization.Always,
        RenormalizeEpsilon = 1e-20,
        Scale = 2.5,
    };

    /// <summary>Routes logits [T, E] as one sequence.</summary>
    private static RoutingTensors Route(RouterOptions options, Tensor logits, float[]? correctionBias = null)
    {
        using var router = new Router(new MoeOptions { HiddenSize = 1, Router = options, Experts = new() { IntermediateSize = 1 } }, null);
        if (correctionBias is not null && router.CorrectionBias is { } bias) bias.copy_(tensor(correctionBias));
        return router.Route(logits.unsqueeze(0), RoutingCall.Plain, step: 0).Plan;
    }

    private static void CheckExample(RouterOptions options, params (int Expert, double Weight)[] expected)
    {
        using var scope = NewDisposeScope();

        var plan = Route(options, tensor(Example).reshape(1, 8), ExampleBias);

        var actual = TensorAssert.Values(plan.Experts).Zip(TensorAssert.Values(plan.Weights)).OrderBy(pair => pair.First).ToArray();
        Assert.Equal(expected.Select(pair => (double)pair.Expert), actual.Select(pair => pair.First));
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First.Weight, pair.Second.Second, 1e-5));
    }
}
