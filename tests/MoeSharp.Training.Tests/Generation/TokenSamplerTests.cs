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

    public static TheoryData<SamplingOptions> AnyOptions =>
    [
        new SamplingOptions { Temperature = 0.8 },
        new SamplingOptions { Temperature = 30 },
        new SamplingOptions { Temperature = 0.01 },
        new SamplingOptions { TopK = 1 },
        new SamplingOptions { TopK = 40, Temperature = 2 },
        new SamplingOptions { TopP = 0.9 },
        new SamplingOptions { TopP = 1 },
        new SamplingOptions { TopP = 1e-9 },
        new SamplingOptions { TopK = 1_000_000, TopP = 0.5 },
        new SamplingOptions { TopK = 20, TopP = 0.99, Temperature = 5 },
    ];

    [Theory]
    [MemberData(nameof(AnyOptions), DisableDiscoveryEnumeration = true)]
    public void Choose_LargeVocabularies_TakesWhatSortingAllOfThemTakes(SamplingOptions options)
    {
        var random = new Random(9);
        var sampler = new TokenSampler(options);
        var draws = new Random(options.Seed);
        for (int call = 0; call < 60; call++)
        {
            float[] logits = [.. Enumerable.Range(0, 1 + random.Next(3000)).Select(_ => MathF.Round((float)(8 * random.NextDouble() - 4), call % 3))];       // some equal, zeros of both signs

            Assert.Equal(OfSorted(logits, options, draws.NextDouble()), sampler.Choose(logits).Id);
        }
    }

    // the twin: all tokens sorted, then cut, then drawn from
    private static int OfSorted(float[] logits, SamplingOptions options, double draw)
    {
        int[] ids = [.. Enumerable.Range(0, logits.Length).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(options.TopK ?? int.MaxValue)];
        double[] weights = [.. ids.Select(id => Math.Exp((logits[id] - logits[ids[0]]) / options.Temperature))];
        double target = weights.Sum() * (options.TopP ?? 1), sum = 0;
        int count = 0;
        while (count < weights.Length && (options.TopP is null || sum < target)) sum += weights[count++];

        double left = draw * sum;
        for (int rank = 0; rank < count; rank++)
        {
            left -= weights[rank];
            if (left < 0) return ids[rank];
        }

        return ids[count - 1];
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
