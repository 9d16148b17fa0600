namespace MoeSharp.Kernels.Tests;

/// <summary>The same tokens have the same bits, whoever computes them and with whom.</summary>
public sealed class ExpertPassBitsTests
{
    // enough work that a forward pass wakes sleeping threads
    private static readonly ExpertSetup Batch = new() { Tokens = 300, Hidden = 75, Intermediate = 65, Pairs = PairPattern.WithGaps };

    public static TheoryData<string> Kernels { get; } = [.. KernelCatalog.RunnableTiles.Select(kernel => kernel.Name)];

    [Fact]
    public void Run_OnAnyNumberOfThreads_HasTheBitsOfOne()
    {
        using WorkerPool two = new(2), three = new(3), eight = new(8);
        var problem = new ExpertProblem(Batch);
        foreach (var run in Enum.GetValues<TileType>().SelectMany(type => Runs(KernelCatalog.Tile(type).Name)))
        {
            var expected = ExpertPasses.Run(problem, run);

            foreach (var pool in new[] { two, three, eight }) AssertSameBits(expected, ExpertPasses.Run(problem, run with { Pool = pool }));
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Run_ATokenAlone_HasItsBitsInABatch(string name)
    {
        var problem = new ExpertProblem(Batch);
        using var passes = new ExpertPasses(problem, Runs(name)[0]);
        var batch = passes.Run(problem);

        for (int token = 0; token < Batch.Tokens; token += 13) AssertSameTokens(batch, passes.Run(problem.Part(token, 1)), token);
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Run_ABatchInTwoParts_HasTheBitsOfTheWhole(string name)
    {
        var problem = new ExpertProblem(Batch with { Hidden = 19, Intermediate = 21, ApplyTo = WeightTarget.Input });
        foreach (var run in Runs(name))
        {
            using var passes = new ExpertPasses(problem, run);
            var whole = passes.Run(problem);

            foreach (int split in new[] { 0, 1, 14, 150, 299 })
            {
                AssertSameTokens(whole, passes.Run(problem.Part(0, split)), 0);
                AssertSameTokens(whole, passes.Run(problem.Part(split, Batch.Tokens - split)), split);
            }
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Run_OverPackedPanels_HasTheBitsOfMatrices(string name)
    {
        var problem = new ExpertProblem(new ExpertSetup { Tokens = 40 });

        AssertSameBits(ExpertPasses.Run(problem, Runs(name)[0]), ExpertPasses.Run(problem, Runs(name)[1]));
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Run_WhateverIsComputedAgain_HasTheBitsOfWhatIsKept(string name)
    {
        using var two = new WorkerPool(2);
        foreach (var activation in Enum.GetValues<ExpertActivation>())
        {
            var problem = new ExpertProblem(Batch with { Tokens = 90, Activation = activation, Limit = activation == ExpertActivation.GptOss ? 0.7 : null, ApplyTo = (WeightTarget)((int)activation % 2), Seed = (int)activation });
            var run = Runs(name)[0];
            var expected = ExpertPasses.Run(problem, run with { Recompute = Recompute.None });

            AssertSameBits(expected, ExpertPasses.Run(problem, run with { Recompute = Recompute.Activation }));
            AssertSameBits(expected, ExpertPasses.Run(problem, run with { Recompute = Recompute.All }));
            AssertSameBits(expected, ExpertPasses.Run(problem, run with { Recompute = Recompute.All, Pool = two }));
        }
    }

    /// <summary>Eight threads at once, on one pool and each on its own, with passes that serve batch after batch.</summary>
    [Fact]
    public async Task Run_ManyPassesAtOnce_HaveTheBitsOfEachAlone()
    {
        using var shared = new WorkerPool(3);
        var problems = Enumerable.Range(0, 8).Select(i => new ExpertProblem(new ExpertSetup
        {
            Tokens = 7 + 17 * i,
            Hidden = 70 - 9 * i,
            Intermediate = 5 + 8 * i,
            Experts = 2 + i,
            Activation = (ExpertActivation)(i % 6),
            ApplyTo = (WeightTarget)(i % 2),
            Pairs = PairPattern.WithGaps,
            Seed = i,
        })).ToArray();
        var expected = problems.Select(problem => ExpertPasses.Run(problem, new PassRun())).ToArray();

        var threads = problems.Select((problem, i) => Task.Factory.StartNew(
            () =>
            {
                using var own = new WorkerPool(2);
                var run = new PassRun { Pool = i % 2 == 0 ? shared : own, IsPacked = i % 3 == 0, IsKept = i % 3 == 1, Recompute = (Recompute)(i % 3) };
                using var passes = new ExpertPasses(problem, run);
                for (int round = 0; round < 10; round++)
                {
                    passes.Run(problem.Part(round % 5, 3));
                    AssertSameBits(expected[i], passes.Run(problem));
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default));

        await Task.WhenAll(threads);
    }

    private static PassRun[] Runs(string name)
    {
        var run = new PassRun { Kernel = KernelCatalog.RunnableTiles.Single(kernel => kernel.Name == name) };
        return [run, run with { IsPacked = true }, run with { IsKept = true }];
    }

    private static void AssertSameBits(Dictionary<PassValue, float[]> expected, Dictionary<PassValue, float[]> actual)
    {
        Assert.Equal(expected.Keys, actual.Keys);
        foreach (var (value, numbers) in expected) Assert.Equal(Lanes.Bits(numbers), Lanes.Bits(actual[value]));
    }

    // what belongs to a token; the gradients of experts are sums over all
    private static void AssertSameTokens(Dictionary<PassValue, float[]> whole, Dictionary<PassValue, float[]> part, int first)
    {
        foreach (var value in new[] { PassValue.Outputs, PassValue.Tokens, PassValue.Weights }.Where(whole.ContainsKey))
        {
            int start = whole[value].Length / Batch.Tokens * first;
            Assert.Equal(Lanes.Bits(whole[value][start..(start + part[value].Length)]), Lanes.Bits(part[value]));
        }
    }
}
