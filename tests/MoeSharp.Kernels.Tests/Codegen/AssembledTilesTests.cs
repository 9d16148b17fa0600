namespace MoeSharp.Kernels.Tests;

/// <summary>What happens when machine code may not run, or is wrong: the managed twin computes, and says why.</summary>
public sealed class AssembledTilesTests
{
    private const byte Return = 0xc3;

    private static readonly TileKernel Twin = new BFloat16Scalar();

    [Fact]
    public void TryGet_WhereTheSystemForbidsCode_IsFalseAndSaysSo()
    {
        var tiles = Tiles(Emit, publish: _ => 0);

        Assert.False(tiles.TryGet(3, TilePrefetch.None, out _));
        Assert.Equal("the system allows no memory for code written at run time", tiles.Fault);
    }

    [Fact]
    public void TryGet_OfCodeThatDoesNothing_IsFalseAndSaysSo()
    {
        Assert.SkipUnless(System.Runtime.Intrinsics.X86.X86Base.IsSupported, "Not the processor of the code.");
        var tiles = Tiles((_, _) => [Return], ExecutableMemory.TryPublish);

        Assert.False(tiles.TryGet(3, TilePrefetch.None, out _));
        Assert.Equal("the code for 3 rows does not compute what matmul.bf16.scalar does", tiles.Fault);
    }

    [Fact]
    public void Agrees_WithTilesOfFewerRows_IsFalse()
    {
        Assert.SkipUnless(new BFloat16Avx512().IsSupported, "Needs AVX512-BF16.");
        for (int rows = 1; rows <= 14; rows++)
        {
            nint tile = ExecutableMemory.TryPublish(Emit(rows, TilePrefetch.None));

            Assert.True(TileCheck.Agrees(tile, rows, Twin));
            if (rows < 14) Assert.False(TileCheck.Agrees(tile, rows + 1, Twin));
        }
    }

    [Fact]
    public void Multiply_WithoutCode_HasTheBitsOfTheTwin()
    {
        using var problem = TileProblem.Random(TileType.BFloat16, 65, seed: 1);
        float[] expected = problem.Run(Twin, 14);

        float[] actual = problem.Run(new BFloat16Avx512(publish: _ => 0), 14);

        Assert.Equal(Lanes.Bits(expected), Lanes.Bits(actual));
    }

    [Fact]
    public void TryGet_FromManyThreads_PublishesEachTileOnce()
    {
        int published = 0;
        var tiles = Tiles(Emit, _ => Interlocked.Increment(ref published) * 0);

        Parallel.For(0, 1000, i => tiles.TryGet(1 + i % 14, (TilePrefetch)(i % 3), out _));

        Assert.Equal(14 * 3, published);
    }

    private static byte[] Emit(int rows, TilePrefetch prefetch) => TileEmitter.Emit(rows, prefetch, BFloat16Emitter.Native);

    private static AssembledTiles Tiles(Func<int, TilePrefetch, byte[]> emit, Func<byte[], nint> publish) =>
        new(14, Twin.Name, emit, publish, (tile, rows) => TileCheck.Agrees(tile, rows, Twin));
}
