using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp.Kernels.Tests;

/// <summary>Every tile of the catalogue that can run here, against double precision, between guard pages.</summary>
public sealed class TileTests
{
    private const float Smallest = 1.1754944e-38f; // the smallest normal float32

    private static readonly int[] EveryDepth = [.. Enumerable.Range(0, 258), 511, 513, 1023, 2049];

    public static TheoryData<string> Kernels { get; } = [.. KernelCatalog.RunnableTiles.Select(kernel => kernel.Name)];

    public static TheoryData<string> Float32Kernels { get; } = [.. NamesOf(TileType.Float32)];

    public static TheoryData<string> BFloat16Kernels { get; } = [.. NamesOf(TileType.BFloat16)];

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_AtEveryDepth_IsWithinTheRoundingOfItsSums(string name)
    {
        var kernel = Kernel(name);
        foreach (int depth in EveryDepth)
        {
            using var problem = TileProblem.Random(kernel.Type, depth, seed: depth, padding: depth % 5);
            var (sum, scale) = problem.Reference();

            float[] tile = problem.Run(kernel, kernel.MaxRows);

            for (int i = 0; i < tile.Length; i++)
            {
                double bound = (2 * depth + 2) * scale[i] * Math.Pow(2, -24) + 4 * depth * Smallest;
                Assert.True(Math.Abs(tile[i] - sum[i]) <= bound, $"depth {depth}, element {i}: {tile[i]:R}, expected {sum[i]:R} ± {bound:R}");
            }
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_WithAnyRowsAndPrefetch_HasTheBitsOfTheWholeTile(string name)
    {
        var kernel = Kernel(name);
        foreach (int depth in EveryDepth)
        {
            using var problem = TileProblem.Random(kernel.Type, depth, seed: depth, padding: depth % 3);
            uint[] whole = Lanes.Bits(problem.Run(kernel, kernel.MaxRows));

            for (int rows = 1; rows <= kernel.MaxRows; rows++)
            {
                foreach (var prefetch in Enum.GetValues<TilePrefetch>())
                {
                    uint[] expected = whole[..(rows * TileProblem.Columns)];
                    Assert.Equal(expected, Lanes.Bits(problem.Run(kernel, rows, prefetch, isAtEnd: true)));
                    Assert.Equal(expected, Lanes.Bits(problem.Run(kernel, rows, prefetch, isAtEnd: false)));
                }
            }
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void MultiplyPanels_OfAnyRows_HasTheBitsOfEachPanelAlone(string name)
    {
        var kernel = Kernel(name);
        foreach (int depth in (int[])[4, 5, 6, 9, 64, 257])
        {
            using var problem = TileProblem.Random(kernel.Type, depth, seed: depth);
            for (int rows = 1; rows <= kernel.MaxRows; rows++) Assert.Equal(Lanes.Bits(problem.RunPanelsAlone(kernel, rows)), Lanes.Bits(problem.RunPanels(kernel, rows)));
        }
    }

    [Fact]
    public void MultiplyWide_OfAWidenedPanel_HasTheBitsOfThePackedOne()
    {
        foreach (var kernel in KernelCatalog.RunnableTiles.Where(kernel => kernel.LeastRowsToWiden < int.MaxValue))
        {
            foreach (int depth in EveryDepth)
            {
                using var problem = TileProblem.Random(kernel.Type, depth, seed: depth, padding: depth % 3);
                for (int rows = 1; rows <= kernel.MaxRows; rows++)
                {
                    uint[] packed = Lanes.Bits(problem.Run(kernel, rows));
                    foreach (var prefetch in Enum.GetValues<TilePrefetch>()) Assert.Equal(packed, Lanes.Bits(problem.RunWide(kernel, rows, prefetch)));
                }
            }
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_ARowAlone_HasItsBitsInATile(string name)
    {
        var kernel = Kernel(name);
        using var problem = TileProblem.Random(kernel.Type, 333, seed: 1);
        uint[] whole = Lanes.Bits(problem.Run(kernel, kernel.MaxRows));

        for (int row = 0; row < kernel.MaxRows; row++)
        {
            uint[] alone = Lanes.Bits(problem.Run(kernel, 1, firstRow: row));
            Assert.Equal(whole[(row * TileProblem.Columns)..((row + 1) * TileProblem.Columns)], alone);
        }
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_SmallIntegers_IsExact(string name)
    {
        var kernel = Kernel(name);
        using var problem = new TileProblem(kernel.Type, 200);
        var random = new Random(3);
        problem.Fill(() => random.Next(-64, 65));
        var (sum, _) = problem.Reference();

        float[] tile = problem.Run(kernel, kernel.MaxRows);

        Assert.Equal(sum[..tile.Length], tile.Select(value => (double)value));
    }

    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_NaNAndInfinity_ReachTheElementsTheyBelongTo(string name)
    {
        var kernel = Kernel(name);
        float[] rare = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0, 1, -2];
        var random = new Random(4);
        foreach (int depth in new[] { 1, 2, 3, 7, 64 })
        {
            using var problem = new TileProblem(kernel.Type, depth);
            problem.Fill(() => random.Next(depth + 1) == 0 ? rare[random.Next(rare.Length)] : 1);
            var (sum, _) = problem.Reference();

            float[] tile = problem.Run(kernel, kernel.MaxRows);

            Assert.Equal(sum[..tile.Length], tile.Select(value => (double)value)); // NaN equals NaN here
        }
    }

    /// <summary>float32 keeps values below the normal range; the instruction for bfloat16 takes them for zero.</summary>
    [Theory, MemberData(nameof(Kernels))]
    public void Multiply_ValuesBelowTheNormalRange_AreKeptOrZero(string name)
    {
        var kernel = Kernel(name);
        using var problem = new TileProblem(kernel.Type, 1);
        problem.A.AsSpan().Fill(kernel.Type == TileType.Float32 ? BitConverter.SingleToUInt32Bits(Smallest / 4) : 0x0020);
        problem.B.AsSpan().Fill(kernel.Type == TileType.Float32 ? BitConverter.SingleToUInt32Bits(1) : 0x3f80);

        float[] tile = problem.Run(kernel, kernel.MaxRows);

        Assert.All(tile, value => Assert.Equal(kernel.Name.EndsWith(".asm", StringComparison.Ordinal) ? 0 : Smallest / 4, value));
    }

    [Theory, MemberData(nameof(Float32Kernels))]
    public void Multiply_OfFloat32_HasTheBitsOfTheScalarLoop(string name)
    {
        var kernel = Kernel(name);
        Assert.SkipUnless(Fma.IsSupported || AdvSimd.IsSupported || !Sse.IsSupported, "Without fused multiply-add.");
        using var problem = TileProblem.Random(kernel.Type, 777, seed: 5);

        Assert.Equal(Lanes.Bits(problem.Run(new Float32Scalar(), kernel.MaxRows)), Lanes.Bits(problem.Run(kernel, kernel.MaxRows)));
    }

    [Theory, MemberData(nameof(BFloat16Kernels))]
    public void Multiply_OfBFloat16_HasTheBitsOfTheScalarLoop(string name)
    {
        var kernel = Kernel(name);
        using var problem = new TileProblem(kernel.Type, 777);
        var random = new Random(6);
        problem.Fill(() => (random.NextSingle() - 0.5f) * (1 << random.Next(20)));

        Assert.Equal(Lanes.Bits(problem.Run(new BFloat16Scalar(), kernel.MaxRows)), Lanes.Bits(problem.Run(kernel, kernel.MaxRows)));
    }

    private static IEnumerable<string> NamesOf(TileType type) => KernelCatalog.RunnableTiles.Where(kernel => kernel.Type == type).Select(kernel => kernel.Name);

    private static TileKernel Kernel(string name) => KernelCatalog.RunnableTiles.Single(kernel => kernel.Name == name);
}
