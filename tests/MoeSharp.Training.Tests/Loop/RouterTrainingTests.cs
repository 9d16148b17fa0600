namespace MoeSharp.Training.Tests;

/// <summary>Every selection and every balance trains, keeps its experts alive where it balances, stops and goes on with the same bits, and generates.</summary>
public sealed class RouterTrainingTests
{
    private static readonly TrainingOptions Short = TinyRun.Options with { Steps = 24, BatchSize = 4, EvaluateEvery = 0, CheckpointEvery = 0, LoadBalanceCoefficient = 0.1, LearningRate = 5e-3 };

    public static TheoryData<string> Names => [.. Runs.Keys];

    private static Dictionary<string, TrainingOptions> Runs { get; } = new()
    {
        ["top-k, loss per batch"] = Short,
        ["top-k, loss per sequence, router scores"] = Short with { Router = new() { Score = ScoreFunction.Sigmoid, BalanceScope = BalanceScope.Sequence, BalanceScores = BalanceScores.RouterNormalized } },
        ["top-k, global loss, accumulation"] = Short with { Accumulation = 2, Router = new() { BalanceScope = BalanceScope.Global } },
        ["top-k, sign bias"] = Short with { Balance = BalanceMode.Bias, BiasUpdateRate = 0.02 },
        ["top-k, proportional bias, sigmoid"] = Short with { Balance = BalanceMode.Bias, BiasUpdateRate = 0.02, Router = new() { Score = ScoreFunction.Sigmoid, BiasRule = BiasRule.Proportional } },
        ["top-k, groups, sqrt softplus"] = Short with { Router = new() { Score = ScoreFunction.SqrtSoftplus, Groups = 2, KeepGroups = 1 } },
        ["top-k, capacity by position, jitter"] = Short with { Router = new() { CapacityFactor = 1.1, CapacityScope = CapacityScope.Batch, CapacityOrder = CapacityOrder.ChoiceFirst, InputJitter = 0.05, LogitJitter = 0.05 } },
        ["top-k, capacity by probability"] = Short with { Router = new() { CapacityFactor = 1, Drop = DropRule.Probability } },
        ["top-k, no balance"] = Short with { Balance = BalanceMode.None },
        ["token table"] = Short with { Router = new() { Select = RouterSelection.TokenTable } },
        ["expert choice"] = Short with { Router = new() { Select = RouterSelection.ExpertChoice } },
        ["sparsemixer"] = Short with { Router = new() { Select = RouterSelection.SparseMixer } },
        ["sinkhorn"] = Short with { Router = new() { Select = RouterSelection.Sinkhorn } },
        ["quantile balance"] = Short with { Balance = BalanceMode.None, Router = new() { Select = RouterSelection.QuantileBalance } },
        ["random"] = Short with { Router = new() { Select = RouterSelection.Random } },
        ["round robin"] = Short with { Router = new() { Select = RouterSelection.RoundRobin } },
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void Run_AnyRouter_LearnsWithItsExpertsAliveAndGenerates(string name)
    {
        using var run = new TinyRun();
        var steps = new List<StepCompleted>();

        var summary = run.Train(Runs[name], onEvent: e => steps.AddRange(e is StepCompleted step ? [step] : []));

        Assert.All(steps, step => Assert.True(double.IsFinite(step.Loss)));
        Assert.True(summary.Loss < steps[0].Loss - 0.3, $"from {steps[0].Loss} to {summary.Loss}");
        if (Runs[name].Balance != BalanceMode.None || Runs[name].Router.Select == RouterSelection.QuantileBalance) Assert.Equal(0, summary.DeadExperts);
        Assert.Equal(Runs[name].Router.CapacityFactor > 0, steps.Any(step => step.Routing.Any(layer => layer.DroppedShare > 0)));

        using var model = ModelCheckpoint.Load(run.Folder);
        var text = new TextGenerator(model, ByteLevelTokenizer.Load(run.Folder)).Generate("The", new SamplingOptions { MaxNewTokens = 4, Temperature = 0 });
        Assert.True(text.Count() is > 0 and <= 5);
    }

    [Theory]
    [InlineData("sparsemixer")]
    [InlineData("quantile balance")]
    [InlineData("top-k, capacity by position, jitter")]
    [InlineData("top-k, proportional bias, sigmoid")]
    [InlineData("random")]
    public void Resume_OfARouterThatDrawsOrFollowsItsLoad_GivesTheBitsOfAnUnbrokenRun(string name)
    {
        var options = Runs[name] with { Steps = 6, CheckpointEvery = 2, Accumulation = 2 };
        using var unbroken = new TinyRun();
        using var broken = new TinyRun();
        unbroken.Train(options);

        broken.StopAfter(3, options);
        broken.Train(options, isResumed: true);

        Assert.Equal(unbroken.Bits(), broken.Bits());
    }
}
