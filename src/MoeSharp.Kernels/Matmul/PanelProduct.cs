using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>Takes the tiles of a product while they lie in the nearest cache.</summary>
internal unsafe interface ITileSink
{
    /// <summary>Takes [rows][32] values of the rows from <paramref name="first"/> on.</summary>
    void Take(float* tile, int first, int rows);
}

/// <summary>All rows of A times one panel of B, in blocks of as many rows as the kernel likes.</summary>
internal static unsafe class PanelProduct
{
    // measured: fewer rows run at the speed of memory without fetching ahead, and slower with it
    private const int LeastRowsToFetch = 6;

    /// <summary>Multiplies, and hands every tile to <paramref name="sink"/>.</summary>
    /// <param name="kernel">The inner loop.</param>
    /// <param name="a">The first row of A.</param>
    /// <param name="stride">Bytes from a row of A to the next.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="panel">The panel.</param>
    /// <param name="depth">Lanes that are summed over.</param>
    /// <param name="isCold">Whether the panel comes from memory and was not fetched ahead.</param>
    /// <param name="next">What will be read next, to fetch ahead.</param>
    /// <param name="tile">Room for a tile, aligned to 64 bytes.</param>
    /// <param name="sink">Takes the tiles.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TSink>(TileKernel kernel, byte* a, nint stride, int rows, byte* panel, int depth, bool isCold, NextPanel next, float* tile, TSink sink)
        where TSink : struct, ITileSink
    {
        int blocks = rows <= kernel.MaxRows ? 1 : (rows + kernel.BlockRows - 1) / kernel.BlockRows;
        TileArguments arguments;
        arguments.AStride = stride;
        arguments.B = panel;
        arguments.C = tile;
        arguments.Depth = depth;
        for (int block = 0, first = 0; block < blocks; block++)
        {
            int count = rows / blocks + (block < rows % blocks ? 1 : 0);
            arguments.A = a + first * stride;
            bool fetches = next.For(block, blocks, depth, out arguments.Prefetch, out arguments.PrefetchStep);
            kernel.Multiply(&arguments, count, Fetch(blocks, block, count, isCold, fetches));
            sink.Take(tile, first, count);
            first += count;
        }
    }

    private static TilePrefetch Fetch(int blocks, int block, int rows, bool isCold, bool fetches)
    {
        if (rows < LeastRowsToFetch && blocks == 1) return TilePrefetch.None;
        if (block == 0 && isCold) return TilePrefetch.Own;
        return fetches ? TilePrefetch.Next : TilePrefetch.None;
    }
}
