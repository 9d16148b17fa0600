using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>Takes the tiles of a product while they lie in the nearest cache.</summary>
internal unsafe interface ITileSink
{
    /// <summary>Takes [rows][32] values of the rows from <paramref name="first"/> on.</summary>
    void Take(float* tile, int first, int rows);
}

/// <summary>Where a product finds its panel.</summary>
internal enum PanelPlace
{
    /// <summary>In the cache: this thread packed it just now.</summary>
    Cache,

    /// <summary>In memory, and the product before fetched it ahead.</summary>
    Fetched,

    /// <summary>In memory, and the product before fetched its first half ahead.</summary>
    HalfFetched,

    /// <summary>In memory.</summary>
    Memory,
}

/// <summary>All rows of A times one panel of B, in blocks of as many rows as the kernel takes.</summary>
internal static unsafe class PanelProduct
{
    // measured: fewer rows run at the speed of memory without fetching ahead, and slower with it
    private const int LeastRowsToFetch = 6;

    private const int Lane = 4, LaneColumns = TileKernel.Columns * Lane;

    /// <summary>The most rows that take a part of the depth before the next.</summary>
    public const int RowsTogether = 48;

    /// <summary>Multiplies, and hands every tile to <paramref name="sink"/>.</summary>
    /// <param name="kernel">The inner loop.</param>
    /// <param name="a">The rows of A.</param>
    /// <param name="panel">The panel.</param>
    /// <param name="depth">Lanes that are summed over.</param>
    /// <param name="place">Where the panel is.</param>
    /// <param name="next">What will be read next, to fetch ahead.</param>
    /// <param name="tile">Room for a tile, aligned to 64 bytes.</param>
    /// <param name="sink">Takes the tiles.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TSink>(TileKernel kernel, TileInputs a, byte* panel, int depth, PanelPlace place, NextPanel next, float* tile, TSink sink)
        where TSink : struct, ITileSink
    {
        int rows = a.Count;
        int blocks = Math.Max(1, (rows + kernel.MaxRows - 1) / kernel.MaxRows);
        bool widens = rows >= kernel.LeastRowsToWiden;
        int together = widens || kernel.DepthPart < depth ? RowsTogether / kernel.MaxRows : 1;
        TileArguments arguments = default;
        byte** places = stackalloc byte*[RowsTogether];
        arguments.Rows = places;
        for (int block = 0, first = 0; block < blocks; block += together)
        {
            arguments.B = panel;
            arguments.C = tile;
            arguments.Depth = depth;
            var part = new Blocks(block, Math.Min(block + together, blocks), blocks, rows);
            a.Place(first, part.RowsInAll, places);
            int count = widens ? MultiplyWide(kernel, arguments, part, place, next)
                : kernel.DepthPart < depth ? MultiplyParts(kernel, arguments, part, place, next) : Multiply(kernel, arguments, part, place, next);
            sink.Take(tile, first, count);
            first += count;
        }
    }

    /// <summary>Multiplies a few rows by as many panels as these take together.</summary>
    /// <param name="kernel">The inner loop.</param>
    /// <param name="a">The rows of A.</param>
    /// <param name="panel">The first panel, after which the others lie.</param>
    /// <param name="depth">Lanes that are summed over.</param>
    /// <param name="tiles">Receives the tiles [panels][rows][32]; room for <see cref="RowsTogether"/> rows, aligned to 64 bytes.</param>
    public static void RunWide(TileKernel kernel, TileInputs a, byte* panel, int depth, float* tiles)
    {
        byte** places = stackalloc byte*[a.Count];
        a.Place(0, a.Count, places);
        var arguments = new TileArguments { Rows = places, B = panel, C = tiles, Depth = depth, PanelStep = (nint)depth * LaneColumns };
        kernel.MultiplyPanels(&arguments, a.Count);
    }

    private static int Multiply(TileKernel kernel, TileArguments arguments, Blocks blocks, PanelPlace place, NextPanel next)
    {
        int rows = blocks.RowsOf(blocks.First);
        bool fetches = next.For(blocks.First, blocks.All, (int)arguments.Depth, out arguments.Prefetch, out arguments.PrefetchStep);
        var prefetch = fetches ? TilePrefetch.Next : TilePrefetch.None;
        if (place == PanelPlace.Memory && blocks.First == 0) prefetch = TilePrefetch.Own;
        if (place == PanelPlace.HalfFetched && blocks.First == 0)
        {
            prefetch = TilePrefetch.Next;
            arguments.Prefetch = arguments.B + arguments.Depth * CacheLines.Size;       // the other half, while it reads the first
            arguments.PrefetchStep = CacheLines.Size;
        }

        if (rows < LeastRowsToFetch && blocks.All == 1) prefetch = TilePrefetch.None;
        kernel.Multiply(&arguments, rows, prefetch);
        return rows;
    }

    // in parts, each of which is widened before its rows come
    private static int MultiplyWide(TileKernel kernel, TileArguments arguments, Blocks blocks, PanelPlace place, NextPanel next)
    {
        byte* room = stackalloc byte[kernel.DepthPart * LaneColumns + CacheLines.Size];
        return MultiplyParts(kernel, arguments, blocks, place, next, (float*)CacheLines.RoundUp((nint)room));
    }

    // some blocks of rows, a part of the depth at a time: the part of the panel stays in the nearest cache
    private static int MultiplyParts(TileKernel kernel, TileArguments arguments, Blocks blocks, PanelPlace place, NextPanel next, float* wide = null)
    {
        byte** places = arguments.Rows;
        byte* panel = arguments.B;
        float* tile = arguments.C;
        int depth = (int)arguments.Depth, part = wide is null ? kernel.DepthPart : kernel.DepthPart / 2;
        for (int k = 0; k < depth; k += part)
        {
            byte* read = panel + (nint)k * LaneColumns;
            arguments.Depth = Math.Min(part, depth - k);
            arguments.B = wide is null ? read : (byte*)wide;
            arguments.Start = (nint)k * Lane;
            arguments.Continues = k;
            if (wide is not null) kernel.Widen(read, (int)arguments.Depth, wide);
            for (int block = blocks.First, first = 0, rows; block < blocks.End; block++, first += rows)
            {
                rows = blocks.RowsOf(block);
                arguments.Rows = places + first;
                arguments.C = tile + first * TileKernel.Columns;
                var prefetch = place == PanelPlace.Cache ? FetchNext(ref arguments, next, block, blocks.All, k, depth) : FetchRest(ref arguments, read, block, blocks);
                if (wide is null) kernel.Multiply(&arguments, rows, prefetch);
                else kernel.MultiplyWide(&arguments, rows, prefetch);
            }
        }

        return blocks.RowsInAll;
    }

    // the panel was packed just now: all blocks of the product together fetch what the next one is packed from
    private static TilePrefetch FetchNext(ref TileArguments arguments, NextPanel next, int block, int blocks, int k, int depth)
    {
        if (!next.For(block, blocks, depth, out arguments.Prefetch, out arguments.PrefetchStep)) return TilePrefetch.None;

        arguments.Prefetch += k * arguments.PrefetchStep;
        return TilePrefetch.Next;
    }

    // the panel comes from memory: the first blocks together fetch the part that follows, and others find it in the cache
    private static TilePrefetch FetchRest(ref TileArguments arguments, byte* read, int block, Blocks blocks)
    {
        arguments.PrefetchStep = (LaneColumns + blocks.Count - 1) / blocks.Count;
        arguments.Prefetch = read + arguments.Depth * (LaneColumns + block * arguments.PrefetchStep);
        return blocks.First > 0 ? TilePrefetch.None : blocks.Count == 1 ? TilePrefetch.Own : TilePrefetch.Next;
    }

    /// <summary>Blocks of rows, of nearly equal size: those from First to End of All.</summary>
    private readonly struct Blocks(int first, int end, int all, int rows)
    {
        public int First => first;

        public int End => end;

        public int Count => end - first;

        public int All => all;

        public int RowsInAll => Before(end) - Before(first);

        public int RowsOf(int block) => rows / all + (block < rows % all ? 1 : 0);

        private int Before(int block) => block * (rows / all) + Math.Min(block, rows % all);
    }
}
