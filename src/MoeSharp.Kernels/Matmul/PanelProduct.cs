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

    private const int Lane = 4;

    /// <summary>The most blocks of rows that take a part of the depth before the next.</summary>
    public const int BlocksTogether = 8;

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
        int blocks = rows <= kernel.MaxRows ? 1 : (rows + kernel.BlockRows - 1) / kernel.BlockRows, together = depth > kernel.DepthPart ? BlocksTogether : 1;
        TileArguments arguments = default;
        arguments.AStride = stride;
        arguments.B = panel;
        arguments.C = tile;
        arguments.Depth = depth;
        for (int block = 0, first = 0; block < blocks; block += together)
        {
            int end = Math.Min(block + together, blocks), count;
            if (end - block == 1)
            {
                count = RowsOf(block, blocks, rows);
                arguments.A = a + first * stride;
                bool fetches = next.For(block, blocks, depth, out arguments.Prefetch, out arguments.PrefetchStep);
                kernel.Multiply(&arguments, count, Fetch(blocks, block, count, isCold, fetches));
            }
            else
            {
                var many = arguments;
                many.A = a + first * stride;
                count = MultiplyParts(kernel, &many, rows, block, end, blocks, isCold, next);
            }

            sink.Take(tile, first, count);
            first += count;
        }
    }

    // some blocks of rows, a part of the depth at a time: the part of the panel stays in the nearest cache
    private static int MultiplyParts(TileKernel kernel, TileArguments* arguments, int rows, int block, int end, int blocks, bool isCold, NextPanel next)
    {
        byte* a = arguments->A, b = arguments->B;
        float* c = arguments->C;
        int depth = (int)arguments->Depth, first = 0;
        for (int k = 0; k < depth; k += kernel.DepthPart)
        {
            arguments->Depth = Math.Min(kernel.DepthPart, depth - k);
            arguments->B = b + (nint)k * TileKernel.Columns * Lane;
            arguments->Continues = k;
            first = 0;
            for (int number = block; number < end; number++)
            {
                int count = RowsOf(number, blocks, rows);
                arguments->A = a + first * arguments->AStride + (nint)k * Lane;
                arguments->C = c + first * TileKernel.Columns;
                bool fetches = next.For(number, blocks, depth, out arguments->Prefetch, out arguments->PrefetchStep);
                arguments->Prefetch += k * arguments->PrefetchStep;
                kernel.Multiply(arguments, count, Fetch(blocks, number, count, isCold, fetches));
                first += count;
            }
        }

        return first;
    }

    // blocks of nearly equal size
    private static int RowsOf(int block, int blocks, int rows) => rows / blocks + (block < rows % blocks ? 1 : 0);

    private static TilePrefetch Fetch(int blocks, int block, int rows, bool isCold, bool fetches)
    {
        if (rows < LeastRowsToFetch && blocks == 1) return TilePrefetch.None;
        if (block == 0 && isCold) return TilePrefetch.Own;
        return fetches ? TilePrefetch.Next : TilePrefetch.None;
    }
}
