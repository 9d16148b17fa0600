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
    /// <param name="next">The panel that will be asked for next, to fetch ahead; null for none.</param>
    /// <param name="tile">Room for a tile, aligned to 64 bytes.</param>
    /// <param name="sink">Takes the tiles.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TSink>(TileKernel kernel, byte* a, nint stride, int rows, byte* panel, int depth, bool isCold, byte* next, float* tile, TSink sink)
        where TSink : struct, ITileSink
    {
        int blocks = rows <= kernel.MaxRows ? 1 : (rows + kernel.BlockRows - 1) / kernel.BlockRows;
        nint panelBytes = (nint)depth * TileKernel.Columns * sizeof(float);
        TileArguments arguments;
        arguments.AStride = stride;
        arguments.B = panel;
        arguments.C = tile;
        arguments.Depth = depth;
        arguments.PrefetchStep = TileKernel.Columns * sizeof(float) / blocks;      // the blocks together fetch the whole panel
        for (int block = 0, first = 0; block < blocks; block++)
        {
            int count = rows / blocks + (block < rows % blocks ? 1 : 0);
            arguments.A = a + first * stride;
            arguments.Prefetch = next + block * (panelBytes / blocks);
            kernel.Multiply(&arguments, count, Fetch(blocks, block, count, isCold, next is not null));
            sink.Take(tile, first, count);
            first += count;
        }
    }

    private static TilePrefetch Fetch(int blocks, int block, int rows, bool isCold, bool hasNext)
    {
        if (rows < LeastRowsToFetch && blocks == 1) return TilePrefetch.None;
        if (block == 0 && (isCold || (blocks == 1 && hasNext))) return TilePrefetch.Own;
        return hasNext ? TilePrefetch.Next : TilePrefetch.None;
    }
}
