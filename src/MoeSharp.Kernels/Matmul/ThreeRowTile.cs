using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>The sizes of <see cref="ThreeRowTile{TVector, TLanes, TReads}"/>.</summary>
internal static class ThreeRowTile
{
    public const int MaxRows = 3;

    /// <summary>18 KB of a panel: with the rows and their sums it stays in a nearest cache of 32 KB.</summary>
    public const int DepthPart = 144;

    /// <summary>12 KB of tokens' columns, which lie far apart and are not fetched ahead.</summary>
    public const int TokensPart = 96;
}

/// <summary>
/// The loop of every tile in C# that has 16 registers to live in: up to 3 rows by four vectors, as often as there are columns.
/// </summary>
/// <remarks>
/// <code>
///              B    0     1     2     3      12 sums, 3 broadcast lanes of A, 1 vector of B: 16 registers.
///                 [ · ] [ · ] [ · ] [ · ]    A step of k is 12 multiply-adds for 7 loads, and reads 128 bytes
///   A  row 0  ·   [sum] [sum] [sum] [sum]    of B in one stream: a single row runs at the speed of memory.
///      row 1  ·   [sum] [sum] [sum] [sum]
///      row 2  ·   [sum] [sum] [sum] [sum]    256 bits: all 32 columns; 128 bits: 16, two passes;
///                                            512 bits: two vectors are all 32 columns
/// </code>
/// Measured on a Zen 3 core: 85 to 98 % of the multiply-add peak, where 6 rows by two vectors had 55 to 90 % with what else its neighbours ran. It
/// is compiled once for each number of rows, and the rows that a tile does not have vanish.
/// </remarks>
internal static unsafe class ThreeRowTile<TVector, TLanes, TReads>
    where TVector : struct
    where TLanes : struct, ITileLanes<TVector>
    where TReads : struct, ITileReads<TVector>
{
    private const int Lane = 4;

    private static readonly delegate*<in Streams, int, void>[]
        FromPanel = [null, &Pass<Rows1, Panel>, &Pass<Rows2, Panel>, &Pass<Rows3, Panel>],
        FromPanelAhead = [null, &Pass<Rows1, PanelAhead>, &Pass<Rows2, PanelAhead>, &Pass<Rows3, PanelAhead>],
        FromPanelOwn = [null, &Pass<Rows1, PanelOwn>, &Pass<Rows2, PanelOwn>, &Pass<Rows3, PanelOwn>],
        FromTokens = [null, &Pass<Rows1, Tokens>, &Pass<Rows2, Tokens>, &Pass<Rows3, Tokens>];

    // vectors of a pass
    private static int Vectors
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Count > TileKernel.Columns / 4 ? TileKernel.Columns / TLanes.Count : 4;
    }

    // how far ahead a pass fetches its own panel
    private static nint OwnDistance
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TReads.PairsB ? 2048 : 1024;
    }

    private static nint VectorBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TLanes.Count * Lane;
    }

    /// <summary>A tile of a <see cref="TileKernel"/>: rows of tokens times a panel. It fetches the next panel if it is told to, and its own where it computes long enough on each line: where it takes lanes apart, or has all its rows.</summary>
    public static void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        var streams = new Streams
        {
            A = arguments->Rows[0] + arguments->Start,
            SecondRow = rows > 1 ? arguments->Rows[1] + arguments->Start : null,
            ThirdRow = rows > 2 ? arguments->Rows[2] + arguments->Start : null,
            B = arguments->B,
            C = arguments->C,
            SameLane = 0,
            Depth = arguments->Depth,
            Continues = arguments->Continues != 0,
            Prefetch = arguments->Prefetch,
            PrefetchStep = arguments->PrefetchStep,
        };
        var pass = prefetch == TilePrefetch.Next ? FromPanelAhead : prefetch == TilePrefetch.Own && (TReads.PairsB || rows == ThreeRowTile.MaxRows) ? FromPanelOwn : FromPanel;
        pass[rows](streams, 0);
        for (int column = Vectors * TLanes.Count; column < TileKernel.Columns; column += Vectors * TLanes.Count) FromPanel[rows](streams, column);
    }

    /// <summary>A tile of an <see cref="OuterKernel"/>: it sums over rows of tokens.</summary>
    public static void Multiply(OuterArguments* arguments, int rows)
    {
        var streams = new Streams
        {
            A = arguments->A,
            AStride = arguments->AStride,
            B = arguments->B,
            BStride = arguments->BStride,
            C = arguments->C,
            SameLane = 0,
            Depth = arguments->Depth,
            Continues = arguments->Continues != 0,
        };
        for (int column = 0; column < TileKernel.Columns; column += Vectors * TLanes.Count) FromTokens[rows](streams, column);
    }

    // two depths a turn, and as few other instructions as there can be: a neighbour on the same core takes its share of them
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pass<TRows, TLayout>(in Streams streams, int column)
        where TRows : struct, IConstant
        where TLayout : struct, ILayout
    {
        nint aLane = TLayout.IsPanel ? Lane : streams.AStride, bLane = TLayout.IsPanel ? TileKernel.Columns * Lane : streams.BStride;
        nint aNext = TReads.PairsA ? streams.SameLane : aLane, aTurn = TReads.PairsA ? aLane : 2 * aLane;
        nint bNext = TReads.PairsB ? streams.SameLane : bLane, bTurn = TReads.PairsB ? bLane : 2 * bLane;
        nint fetchStep = streams.PrefetchStep, at = 0;
        byte* a = streams.A, aSecond = streams.SecondRow, aThird = streams.ThirdRow, b = streams.B + column * Lane, fetch = streams.Prefetch;
        float* c = streams.C + column;
        TVector x0 = default, x1 = default, x2 = default, x3 = default;
        TVector y0 = default, y1 = default, y2 = default, y3 = default;
        TVector z0 = default, z1 = default, z2 = default, z3 = default;
        TVector x, y = default, z = default, v;
        if (streams.Continues)
        {
            (x0, x1, x2, x3) = LoadRow(c);
            if (TRows.Value > 1) (y0, y1, y2, y3) = LoadRow(c + TileKernel.Columns);
            if (TRows.Value > 2) (z0, z1, z2, z3) = LoadRow(c + 2 * TileKernel.Columns);
        }

        for (nint k = streams.Depth; k > 0; k -= TReads.PairsA ? 1 : 2)
        {
            if (TLayout.Fetches == TilePrefetch.Next && Sse.IsSupported)
            {
                Sse.Prefetch1(fetch);
                fetch += fetchStep;
                if (!TReads.PairsA)
                {
                    Sse.Prefetch1(fetch);
                    fetch += fetchStep;
                }
            }

            if (TLayout.Fetches == TilePrefetch.Own && Sse.IsSupported)
            {
                Sse.Prefetch0(b + OwnDistance);
                Sse.Prefetch0(b + OwnDistance + CacheLines.Size);
                if (!TReads.PairsA)
                {
                    Sse.Prefetch0(b + OwnDistance + 2 * CacheLines.Size);
                    Sse.Prefetch0(b + OwnDistance + 3 * CacheLines.Size);
                }
            }

            if (!TLayout.IsPanel && Sse.IsSupported)     // the rows that come after lie in other lines
            {
                Sse.Prefetch0(a + CacheLines.Size);
                if (!TReads.PairsA) Sse.Prefetch0(a + aNext + CacheLines.Size);
            }

            x = TReads.Broadcast(TLayout.IsPanel ? a + at : a);
            if (TRows.Value > 1) y = TReads.Broadcast(TLayout.IsPanel ? aSecond + at : a + Lane);
            if (TRows.Value > 2) z = TReads.Broadcast(TLayout.IsPanel ? aThird + at : a + 2 * Lane);
            v = TReads.Load(b);
            x0 = TLanes.MultiplyAdd(x, v, x0);
            if (TRows.Value > 1) y0 = TLanes.MultiplyAdd(y, v, y0);
            if (TRows.Value > 2) z0 = TLanes.MultiplyAdd(z, v, z0);
            v = TReads.Load(b + VectorBytes);
            x1 = TLanes.MultiplyAdd(x, v, x1);
            if (TRows.Value > 1) y1 = TLanes.MultiplyAdd(y, v, y1);
            if (TRows.Value > 2) z1 = TLanes.MultiplyAdd(z, v, z1);
            if (Vectors > 2)
            {
                v = TReads.Load(b + 2 * VectorBytes);
                x2 = TLanes.MultiplyAdd(x, v, x2);
                if (TRows.Value > 1) y2 = TLanes.MultiplyAdd(y, v, y2);
                if (TRows.Value > 2) z2 = TLanes.MultiplyAdd(z, v, z2);

                v = TReads.Load(b + 3 * VectorBytes);
                x3 = TLanes.MultiplyAdd(x, v, x3);
                if (TRows.Value > 1) y3 = TLanes.MultiplyAdd(y, v, y3);
                if (TRows.Value > 2) z3 = TLanes.MultiplyAdd(z, v, z3);
            }

            if (!TReads.PairsA && k == 1) break;

            x = TLayout.IsPanel ? TReads.BroadcastNext(a + at + aNext) : TReads.BroadcastNext(a + aNext);
            if (TRows.Value > 1) y = TLayout.IsPanel ? TReads.BroadcastNext(aSecond + at + aNext) : TReads.BroadcastNext(a + aNext + Lane);
            if (TRows.Value > 2) z = TLayout.IsPanel ? TReads.BroadcastNext(aThird + at + aNext) : TReads.BroadcastNext(a + aNext + 2 * Lane);
            v = TReads.LoadNext(b + bNext);
            x0 = TLanes.MultiplyAdd(x, v, x0);
            if (TRows.Value > 1) y0 = TLanes.MultiplyAdd(y, v, y0);
            if (TRows.Value > 2) z0 = TLanes.MultiplyAdd(z, v, z0);
            v = TReads.LoadNext(b + bNext + VectorBytes);
            x1 = TLanes.MultiplyAdd(x, v, x1);
            if (TRows.Value > 1) y1 = TLanes.MultiplyAdd(y, v, y1);
            if (TRows.Value > 2) z1 = TLanes.MultiplyAdd(z, v, z1);
            if (Vectors > 2)
            {
                v = TReads.LoadNext(b + bNext + 2 * VectorBytes);
                x2 = TLanes.MultiplyAdd(x, v, x2);
                if (TRows.Value > 1) y2 = TLanes.MultiplyAdd(y, v, y2);
                if (TRows.Value > 2) z2 = TLanes.MultiplyAdd(z, v, z2);

                v = TReads.LoadNext(b + bNext + 3 * VectorBytes);
                x3 = TLanes.MultiplyAdd(x, v, x3);
                if (TRows.Value > 1) y3 = TLanes.MultiplyAdd(y, v, y3);
                if (TRows.Value > 2) z3 = TLanes.MultiplyAdd(z, v, z3);
            }

            if (TLayout.IsPanel) at += aTurn;
            else a += aTurn;

            b += bTurn;
        }

        StoreRow(c, x0, x1, x2, x3);
        if (TRows.Value > 1) StoreRow(c + TileKernel.Columns, y0, y1, y2, y3);
        if (TRows.Value > 2) StoreRow(c + 2 * TileKernel.Columns, z0, z1, z2, z3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TVector First, TVector Second, TVector Third, TVector Fourth) LoadRow(float* c) =>
        (Load(c, 0), Load(c, 1), Vectors > 2 ? Load(c, 2) : default, Vectors > 2 ? Load(c, 3) : default);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Load(float* c, int vector) => TLanes.Load(c + vector * TLanes.Count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow(float* c, TVector first, TVector second, TVector third, TVector fourth)
    {
        TLanes.Store(first, c);
        TLanes.Store(second, c + TLanes.Count);
        if (Vectors <= 2) return;

        TLanes.Store(third, c + 2 * TLanes.Count);
        TLanes.Store(fourth, c + 3 * TLanes.Count);
    }

    private struct Streams
    {
        public byte* A, SecondRow, ThirdRow, B, Prefetch;      // rows of a panel product lie anywhere
        public nint AStride, BStride, Depth, PrefetchStep;
        public nint SameLane;       // 0, which the compiler must not know: it would keep a lane for its second use, on the stack, where loading it again is free
        public float* C;
        public bool Continues;
    }

    // how A and B lie: as rows and a panel, or both as tokens
    private interface ILayout
    {
        static abstract bool IsPanel { get; }

        static abstract TilePrefetch Fetches { get; }
    }

    private readonly struct Panel : ILayout
    {
        public static bool IsPanel => true;

        public static TilePrefetch Fetches => TilePrefetch.None;
    }

    private readonly struct PanelAhead : ILayout
    {
        public static bool IsPanel => true;

        public static TilePrefetch Fetches => TilePrefetch.Next;
    }

    private readonly struct PanelOwn : ILayout
    {
        public static bool IsPanel => true;

        public static TilePrefetch Fetches => TilePrefetch.Own;
    }

    private readonly struct Tokens : ILayout
    {
        public static bool IsPanel => false;

        public static TilePrefetch Fetches => TilePrefetch.None;
    }
}
