namespace MoeSharp.Training.Tests;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [1, 3, 2, 3, -1];

    [Fact]
    public void Choose_TemperatureZero_TakesTheLowestOfTheLikeliest()
    {
        var (id, probability) = new TokenSampler(new() { Temperature = 0 }).Choose(Logits);

        Assert.Equal(1, id);
        Assert.Equal(3 - Math.Log(Logits.Sum(logit => Math.Exp(logit))), probability, 1e-6);
    }

    [Fact]
    public void Choose_EqualSeeds_GiveEqualTokens()
    {
        Assert.Equal(Draw(new() { Seed = 4 }, 50), Draw(new() { Seed = 4 }, 50));
        Assert.NotEqual(Draw(new() { Seed = 4 }, 50), Draw(new() { Seed = 5 }, 50));
    }

    [Fact]
    public void Choose_TopK_LeavesOnlyTheLikeliest() => Assert.Equal([1, 2, 3], Draw(new() { TopK = 3, Temperature = 3 }, 500).Distinct().Order());

    [Fact]
    public void Choose_TopP_LeavesTheShortestStartThatReachesIt() => Assert.Equal([1, 3], Draw(new() { TopP = 0.7, Temperature = 1 }, 500).Distinct().Order());

    [Fact]
    public void Choose_ManyDraws_FollowsTheSoftmax()
    {
        int[] draws = Draw(new() { Temperature = 2 }, 20_000);

        double sum = Logits.Sum(logit => Math.Exp(logit / 2));
        foreach (var (id, logit) in Logits.Index())
            Assert.Equal(Math.Exp(logit / 2) / sum, draws.Count(draw => draw == id) / 20_000.0, 0.015);
    }

    [Fact]
    public void Options_SeveralFaults_AreListedTogether()
    {
        var error = Assert.Throws<ArgumentException>(() => new TokenSampler(new() { Temperature = -1, TopK = 0, TopP = 1.5, MaxNewTokens = -2 }));

        Assert.Contains("4 faults", error.Message, StringComparison.Ordinal);
        Assert.Contains("TopP is 1.5; set it above 0 and at most 1, or leave it out.", error.Message, StringComparison.Ordinal);
    }

    private static int[] Draw(SamplingOptions options, int count)
    {
        var sampler = new TokenSampler(options);
        return [.. Enumerable.Range(0, count).Select(_ => sampler.Choose(Logits).Id)];
    }
}
