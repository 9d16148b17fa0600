using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>Both passes of experts against double precision, with every array between guard pages.</summary>
public sealed class ExpertPassTests
{
    private static readonly int[] OddSizes = [1, 2, 15, 16, 17, 32, 65];

    public static TheoryData<ExpertActivation> Activations { get; } = [.. Enum.GetValues<ExpertActivation>()];

    public static TheoryData<string> Kernels { get; } = [.. KernelCatalog.RunnableTiles.Select(kernel => kernel.Name)];

    public static TheoryData<string> Outers { get; } = [.. KernelCatalog.RunnableOuters.Select(kernel => kernel.Name)];

    [Theory, MemberData(nameof(Activations))]
    public void Run_WithEveryOption_MatchesDoublePrecision(ExpertActivation activation)
    {
        foreach (var applyTo in Enum.GetValues<WeightTarget>())
        {
            foreach (double? limit in new double?[] { null, 0.7 })
            {
                foreach (bool hasBias in new[] { false, true })
                {
                    AssertMatches(new ExpertSetup { Activation = activation, ApplyTo = applyTo, Limit = limit, HasBias = hasBias });
                }
            }
        }
    }

    [Fact]
    public void Run_WithOddSizes_MatchesDoublePrecisionAndTouchesNoGuard()
    {
        PassRun[] runs = [.. from isPacked in new[] { false, true } from isAtEnd in new[] { false, true } select new PassRun { IsPacked = isPacked, IsAtEnd = isAtEnd }];
        foreach (int hidden in OddSizes)
        {
            foreach (int intermediate in OddSizes)
            {
                AssertMatches(new ExpertSetup { Tokens = 4, Experts = 3, Hidden = hidden, Intermediate = intermediate, Seed = hidden + 100 * intermediate }, runs);
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(14)]
    [InlineData(15)]
    [InlineData(33)]
    [InlineData(200)]
    public void Run_AnyNumberOfTokens_MatchesDoublePrecision(int tokens)
    {
        AssertMatches(new ExpertSetup { Tokens = tokens });
        AssertMatches(new ExpertSetup { Tokens = tokens, ApplyTo = WeightTarget.Input, Pairs = PairPattern.WithGaps });
        AssertMatches(new ExpertSetup { Tokens = tokens, Experts = 4, Width = 1, Pairs = PairPattern.OneExpert });
    }

    [Fact]
    public void Run_AnyNumberOfExperts_MatchesDoublePrecision()
    {
        foreach (var pairs in new[] { PairPattern.All, PairPattern.WithGaps })
        {
            for (int width = 0; width <= 6; width++) AssertMatches(new ExpertSetup { Experts = 6, Width = width, Pairs = pairs });
        }

        AssertMatches(new ExpertSetup { Experts = 1, Width = 1 });
        AssertMatches(new ExpertSetup { Tokens = 3, Experts = 40, Width = 2, Hidden = 5, Intermediate = 3 });     // most have no token
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Run_OnEveryTile_MatchesDoublePrecision(string name)
    {
        var kernel = KernelCatalog.RunnableTiles.Single(kernel => kernel.Name == name);
        PassRun[] runs = [new PassRun { Kernel = kernel }, new PassRun { Kernel = kernel, IsPacked = true }];
        foreach (var (hidden, intermediate) in new[] { (1, 1), (7, 5), (33, 17), (64, 48), (45, 35) })
        {
            foreach (var applyTo in Enum.GetValues<WeightTarget>())
            {
                AssertMatches(new ExpertSetup { Tokens = 30, Hidden = hidden, Intermediate = intermediate, ApplyTo = applyTo, Seed = hidden }, runs);
            }
        }
    }

    [Theory, MemberData(nameof(Outers))]
    public void Run_OnEveryOuterProduct_MatchesDoublePrecision(string name)
    {
        var outer = KernelCatalog.RunnableOuters.Single(kernel => kernel.Name == name);
        var run = new PassRun { Kernel = KernelCatalog.Tile(outer.Type), Outer = outer };
        foreach (var (hidden, intermediate) in new[] { (1, 1), (33, 17), (64, 48), (45, 35) })
        {
            AssertMatches(new ExpertSetup { Tokens = 30, Hidden = hidden, Intermediate = intermediate, Pairs = PairPattern.WithGaps, Seed = hidden }, run);
        }
    }

    [Fact]
    public void Run_WithAnySizesAndOptions_MatchesDoublePrecision()
    {
        var setups =
            from sizes in Gen.Select(Gen.Int[0, 30], Gen.Int[1, 50], Gen.Int[1, 40], Gen.Int[1, 6])
            from width in Gen.Int[0, sizes.Item4]
            from options in Gen.Select(Gen.Enum<ExpertActivation>(), Gen.Enum<WeightTarget>(), Gen.Enum<PairPattern>(), Gen.Bool, Gen.Bool)
            from seed in Gen.Int[0, 1_000_000]
            select new ExpertSetup
            {
                Tokens = sizes.Item1,
                Hidden = sizes.Item2,
                Intermediate = sizes.Item3,
                Experts = sizes.Item4,
                Width = width,
                Activation = options.Item1,
                ApplyTo = options.Item2,
                Pairs = options.Item3,
                HasBias = options.Item4,
                Limit = options.Item5 ? 0.7 : null,
                Seed = seed,
            };

        setups.ForEach(40, AssertMatches);
    }

    /// <summary>A frozen router, frozen experts, or tokens that need no gradient.</summary>
    [Theory]
    [InlineData(WeightTarget.Output)]
    [InlineData(WeightTarget.Input)]
    public void Run_WithoutSomeGradients_LeavesTheBitsOfTheOthers(WeightTarget applyTo)
    {
        PassValue[][] groups = [[PassValue.Tokens], [PassValue.Weights], [PassValue.Gate, PassValue.Up], [PassValue.Down], [PassValue.GateBias, PassValue.UpBias], [PassValue.DownBias]];
        var setup = new ExpertSetup { ApplyTo = applyTo, Pairs = PairPattern.WithGaps };
        var (problem, others) = (new ExpertProblem(setup), new ExpertProblem(setup with { Seed = 2 }));
        var all = ExpertPasses.Run(problem, new PassRun());
        using var passes = new ExpertPasses(problem, new PassRun());
        for (int chosen = 0; chosen < 1 << groups.Length; chosen++)
        {
            var wanted = groups.Where((_, group) => (chosen >> group & 1) != 0).SelectMany(group => group);

            passes.Run(others); // leaves other values in the memory between the products
            var some = passes.Run(problem, wanted);

            foreach (var (value, numbers) in some) Assert.Equal(Lanes.Bits(all[value]), Lanes.Bits(numbers));
        }
    }

    [Theory, MemberData(nameof(Activations))]
    public void Run_NaNAndInfinity_StayInTheirTokensRow(ExpertActivation activation)
    {
        foreach (var kernel in KernelCatalog.RunnableTiles)
        {
            foreach (var applyTo in Enum.GetValues<WeightTarget>())
            {
                var setup = new ExpertSetup { Tokens = 20, Activation = activation, ApplyTo = applyTo, Limit = activation == ExpertActivation.GptOss ? 7 : null };
                var (clean, spoilt) = (new ExpertProblem(setup), new ExpertProblem(setup));
                const int First = 3, Second = 11;
                spoilt.X[First * setup.Hidden + 1] = float.NaN;
                spoilt.X[Second * setup.Hidden] = float.PositiveInfinity;

                var (expected, actual) = (ExpertPasses.Run(clean, new PassRun { Kernel = kernel }), ExpertPasses.Run(spoilt, new PassRun { Kernel = kernel }));

                foreach (var value in new[] { PassValue.Outputs, PassValue.Tokens, PassValue.Weights }.Where(expected.ContainsKey))
                {
                    var (before, after) = (expected[value].Chunk(expected[value].Length / setup.Tokens).ToArray(), actual[value].Chunk(expected[value].Length / setup.Tokens).ToArray());
                    Assert.All(after[First], number => Assert.True(float.IsNaN(number) || value != PassValue.Outputs));
                    for (int token = 0; token < setup.Tokens; token++)
                    {
                        if (token is not First and not Second) Assert.Equal(Lanes.Bits(before[token]), Lanes.Bits(after[token]));
                    }
                }
            }
        }
    }

    private static void AssertMatches(ExpertSetup setup) => AssertMatches(setup, new PassRun(), new PassRun { IsPacked = true, IsAtEnd = false, Recompute = Recompute.None }, new PassRun { Recompute = Recompute.All });

    private static void AssertMatches(ExpertSetup setup, params PassRun[] runs)
    {
        var problem = new ExpertProblem(setup);
        var expected = ExpertReference.Of(problem, runs[0].Kernel.Type);

        foreach (var run in runs) AssertClose(expected, ExpertPasses.Run(problem, run), run, setup);
    }

    // the numbers are of the order of one; a bfloat16 that lies between two may be rounded to either
    private static void AssertClose(Dictionary<PassValue, double[]> expected, Dictionary<PassValue, float[]> actual, PassRun run, ExpertSetup setup)
    {
        double tolerance = run.Kernel.Type == TileType.Float32 ? 1e-5 : 1e-2;
        foreach (var (value, numbers) in actual)
        {
            double bound = tolerance * expected[value].Select(Math.Abs).Append(1).Max();
            for (int i = 0; i < numbers.Length; i++)
            {
                if (!(Math.Abs(numbers[i] - expected[value][i]) <= bound)) Assert.Fail($"{value}[{i}]: {numbers[i]:R}, expected {expected[value][i]:R} ± {bound:R} by {run.Kernel.Name} for {setup}");
            }
        }
    }
}
