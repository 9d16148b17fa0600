using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>What <see cref="SixRowTile{TVector, TLanes}"/> needs to know of a vector: its width, and how lanes of one type multiply.</summary>
internal unsafe interface ITileLanes<TVector>
    where TVector : struct
{
    /// <summary>Lanes of 32 bits in a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(byte* b);

    /// <summary>sum + a · b, where a is one lane for all.</summary>
    static abstract TVector MultiplyAdd(byte* a, TVector b, TVector sum);

    static abstract void Store(TVector sum, float* c);
}

/// <summary>
/// The loop of every tile in C# that has 16 registers to live in: up to 6 rows by two vectors, as often as the panel has columns.
/// </summary>
/// <remarks>
/// <code>
///              B   left    right            12 sums, 2 vectors of B, 1 lane of A for all: 15 registers.
///                 [ · · ] [ · · ]           A step of k is 12 multiply-adds for 8 loads.
///   A  row 0  ·   [ sum ] [ sum ]
///      …          …                         256 bits: 16 columns, 2 passes over the panel
///      row 5  ·   [ sum ] [ sum ]           128 bits:  8 columns, 4 passes; 512 bits: one pass
/// </code>
/// It is compiled once for each number of rows, and the rows that a tile does not have vanish. Prefetching is the work of the first pass.
/// </remarks>
internal static unsafe class SixRowTile<TVector, TLanes>
    where TVector : struct
    where TLanes : struct, ITileLanes<TVector>
{
    public const int MaxRows = 6;

    /// <summary>24 KB of a panel: three quarters of the nearest cache of most processors.</summary>
    public const int DepthPart = 192;

    private const int Lane = 4;
    private const int Ahead = 4096;

    private static readonly delegate*<TileArguments*, void>[] Tiles = new delegate*<TileArguments*, void>[(MaxRows + 1) * 3];

    static SixRowTile()
    {
        Add<Rows1>();
        Add<Rows2>();
        Add<Rows3>();
        Add<Rows4>();
        Add<Rows5>();
        Add<Rows6>();
    }

    public static void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch) => Tiles[rows * 3 + (int)prefetch](arguments);

    private static void Add<TRows>()
        where TRows : struct, IConstant
    {
        Tiles[TRows.Value * 3 + (int)TilePrefetch.None] = &Tile<TRows, PrefetchNone>;
        Tiles[TRows.Value * 3 + (int)TilePrefetch.Own] = &Tile<TRows, PrefetchOwn>;
        Tiles[TRows.Value * 3 + (int)TilePrefetch.Next] = &Tile<TRows, PrefetchNext>;
    }

    private static void Tile<TRows, TPrefetch>(TileArguments* arguments)
        where TRows : struct, IConstant
        where TPrefetch : struct, IConstant
    {
        Pass<TRows, TPrefetch>(arguments, 0);
        for (int column = 2 * TLanes.Count; column < TileKernel.Columns; column += 2 * TLanes.Count) Pass<TRows, PrefetchNone>(arguments, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pass<TRows, TPrefetch>(TileArguments* arguments, int column)
        where TRows : struct, IConstant
        where TPrefetch : struct, IConstant
    {
        nint stride = arguments->AStride;
        byte* a0 = arguments->A, a3 = a0 + 3 * stride; // three rows each: [a], [a + stride], [a + 2 · stride]
        byte* b = arguments->B + column * Lane;
        byte* next = arguments->Prefetch;
        nint step = arguments->PrefetchStep;
        TVector l0 = default, r0 = default;
        TVector l1 = default, r1 = default;
        TVector l2 = default, r2 = default;
        TVector l3 = default, r3 = default;
        TVector l4 = default, r4 = default;
        TVector l5 = default, r5 = default;
        float* c = arguments->C + column;
        if (arguments->Continues != 0)
        {
            (l0, r0) = Load(c + 0 * TileKernel.Columns);
            if (TRows.Value > 1) (l1, r1) = Load(c + 1 * TileKernel.Columns);
            if (TRows.Value > 2) (l2, r2) = Load(c + 2 * TileKernel.Columns);
            if (TRows.Value > 3) (l3, r3) = Load(c + 3 * TileKernel.Columns);
            if (TRows.Value > 4) (l4, r4) = Load(c + 4 * TileKernel.Columns);
            if (TRows.Value > 5) (l5, r5) = Load(c + 5 * TileKernel.Columns);
        }

        for (nint k = arguments->Depth; k > 0; k--)
        {
            if (TPrefetch.Value == (int)TilePrefetch.Own && Sse.IsSupported)
            {
                Sse.Prefetch0(b + Ahead);
                Sse.Prefetch0(b + Ahead + 64);
            }

            if (TPrefetch.Value == (int)TilePrefetch.Next && Sse.IsSupported)
            {
                Sse.Prefetch1(next);
                next += step;
            }

            TVector left = TLanes.Load(b), right = TLanes.Load(b + TLanes.Count * Lane);
            b += TileKernel.Columns * Lane;
            (l0, r0) = MultiplyAdd(a0, left, right, l0, r0);
            if (TRows.Value > 1) (l1, r1) = MultiplyAdd(a0 + stride, left, right, l1, r1);
            if (TRows.Value > 2) (l2, r2) = MultiplyAdd(a0 + 2 * stride, left, right, l2, r2);
            if (TRows.Value > 3) (l3, r3) = MultiplyAdd(a3, left, right, l3, r3);
            if (TRows.Value > 4) (l4, r4) = MultiplyAdd(a3 + stride, left, right, l4, r4);
            if (TRows.Value > 5) (l5, r5) = MultiplyAdd(a3 + 2 * stride, left, right, l5, r5);
            a0 += Lane;
            if (TRows.Value > 3) a3 += Lane;
        }

        Store(c + 0 * TileKernel.Columns, l0, r0);
        if (TRows.Value > 1) Store(c + 1 * TileKernel.Columns, l1, r1);
        if (TRows.Value > 2) Store(c + 2 * TileKernel.Columns, l2, r2);
        if (TRows.Value > 3) Store(c + 3 * TileKernel.Columns, l3, r3);
        if (TRows.Value > 4) Store(c + 4 * TileKernel.Columns, l4, r4);
        if (TRows.Value > 5) Store(c + 5 * TileKernel.Columns, l5, r5);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TVector Left, TVector Right) MultiplyAdd(byte* a, TVector left, TVector right, TVector sumLeft, TVector sumRight) =>
        (TLanes.MultiplyAdd(a, left, sumLeft), TLanes.MultiplyAdd(a, right, sumRight));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TVector Left, TVector Right) Load(float* c) => (TLanes.Load((byte*)c), TLanes.Load((byte*)(c + TLanes.Count)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, TVector left, TVector right)
    {
        TLanes.Store(left, c);
        TLanes.Store(right, c + TLanes.Count);
    }
}
