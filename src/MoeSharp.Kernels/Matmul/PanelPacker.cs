using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>
/// Matrices to the panels of <see cref="TileKernel"/>: lanes [depth][32], so that a tile reads its panel as one stream. A half panel is
/// 16 columns of it.
/// </summary>
internal static unsafe class PanelPacker
{
    private const int Square = 16;
    private const int Ahead = 4 * CacheLines.Size / sizeof(float);     // how far a row is fetched ahead: a processor follows a few streams by itself, not sixteen
    private const int RowsAhead = 16;   // that are fetched where two are packed together: 2 to 7 % of a training step; the processor follows single ones by itself
    private const int Section = 256;    // lanes of a row that are fetched together: those of sixteen rows are at most half of the nearest cache
    private const int Strip = 256;      // lanes of 16 rows that are converted together: half of the nearest cache

    /// <summary>The lanes of a depth of <paramref name="values"/> values.</summary>
    public static int Lanes(int values, TileType type) => type == TileType.Float32 ? values : (values + 1) / 2;

    /// <summary>Bytes of a panel of a depth of <paramref name="values"/> values.</summary>
    public static nint Bytes(int values, TileType type) => (nint)Lanes(values, type) * TileKernel.Columns * sizeof(float);

    /// <summary>
    /// Packs rows of a matrix as the columns of a half panel: what a product with the transposed matrix, x · Wᵀ, reads.
    /// </summary>
    /// <typeparam name="T">float, or ushort for the bits of bfloat16.</typeparam>
    /// <param name="source">The first of the rows.</param>
    /// <param name="stride">Values from a row to the next.</param>
    /// <param name="rows">How many of the 16 columns there are, 0 to 16; the others become zeros.</param>
    /// <param name="depth">Values per row.</param>
    /// <param name="type">The type of the panel.</param>
    /// <param name="half">The first lane of the half panel.</param>
    /// <param name="streams">Whether it is written past the caches, as what nobody reads soon; it is aligned to a line then.</param>
    public static void Transposed<T>(T* source, nint stride, int rows, int depth, TileType type, float* half, bool streams = false)
        where T : unmanaged
    {
        int perLane = type == TileType.Float32 ? 1 : 2, lanes = Lanes(depth, type);
        float* square = stackalloc float[Square * Square + CacheLines.Size / sizeof(float)];
        square = streams ? (float*)CacheLines.RoundUp((nint)square) : null;
        bool areLanes = sizeof(T) * perLane == sizeof(float) && stride % perLane == 0;      // the source has the panel's lanes: no need to go through a block
        bool isWider = typeof(T) == typeof(ushort) && type == TileType.Float32, turns = streams && Avx512F.IsSupported;
        int whole = (areLanes || (isWider && turns)) && rows == Square ? depth / perLane : 0;
        nint laneStride = stride / perLane;
        if (turns && whole >= Square)
        {
            if (isWider) Stream(source, laneStride, half, whole);
            else Stream((float*)source, laneStride, half, whole);
        }
        else
        {
            whole = whole / Square * Square;
            for (int k = 0; k < whole; k += Square) Transpose((float*)source + k, laneStride, half + (nint)k * TileKernel.Columns, square, fetches: true);
        }

        if (whole == lanes) return;

        float* block = stackalloc float[Square * Strip];
        for (int k = whole; k < lanes; k += Strip)
        {
            int count = Math.Min(Strip, lanes - k), values = Math.Min(count * perLane, depth - k * perLane);
            if (rows < Square || values < count * perLane) new Span<float>(block, Square * Strip).Clear();
            for (int row = 0; row < rows; row++)
            {
                T* from = source + row * stride + k * perLane;
                CacheLines.Fetch((byte*)(from + Strip * perLane), Strip * perLane * sizeof(T));     // of the next strip
                Convert(from, values, type, block + row * Strip);
            }

            for (int part = 0; part < count; part += Square) Transpose(block + part, Strip, half + (nint)(k + part) * TileKernel.Columns, Math.Min(Square, count - part), square);
        }
    }

    /// <summary>
    /// Lanes of sixteen rows past the caches, by lines of the source where its rows begin alike: a square that touches two lines of each row
    /// takes 3 to 6 % longer. What comes next is fetched meanwhile, as what is read once: the next section of the rows, or the next half panel.
    /// </summary>
    /// <remarks>A method of its own, compiled at once: a model is loaded once, and as part of a long method this takes a tenth longer.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Stream<T>(T* from, nint stride, float* to, int lanes)
        where T : unmanaged
    {
        // as much as a square is fetched beside each: a row of the next section, or, where rows have no whole sections, a part of the next half panel
        bool hasSections = lanes % Section == 0;
        int section = hasSections ? Section : lanes, last = lanes - Square, skew = (int)((nint)from / sizeof(T) & (Square - 1)), at = 0;
        nint step = hasSections ? stride : Section;
        for (int start = 0; start < lanes; start += section)
        {
            T* next = start + section < lanes ? from + start + section : from + Square * stride;
            for (int k = start; k < start + section; k += Square, next += step)
            {
                CacheLines.FetchEightOnce((byte*)next);
                if (sizeof(T) == sizeof(float)) CacheLines.FetchEightOnce((byte*)next + 8 * CacheLines.Size);
                at = Math.Clamp(k - skew, 0, last);
                Turn(from + at, stride, to + (nint)at * TileKernel.Columns, fetches: false, streams: true);
            }
        }

        if (at < last) Turn(from + last, stride, to + (nint)last * TileKernel.Columns, fetches: false, streams: true);
    }

    /// <summary>Packs 32 columns of a matrix as they lie: what a product with the matrix itself, y · W, reads.</summary>
    /// <typeparam name="T">float, or ushort for the bits of bfloat16.</typeparam>
    /// <param name="source">The first row's first of the columns.</param>
    /// <param name="stride">Values from a row to the next.</param>
    /// <param name="columns">How many of the 32 columns there are; the others become zeros.</param>
    /// <param name="depth">The number of rows.</param>
    /// <param name="type">The type of the panel.</param>
    /// <param name="panel">The panel.</param>
    public static void Straight<T>(T* source, nint stride, int columns, int depth, TileType type, float* panel)
        where T : unmanaged
    {
        if (columns < TileKernel.Columns) new Span<float>(panel, Lanes(depth, type) * TileKernel.Columns).Clear();
        if (type == TileType.BFloat16)
        {
            StraightPairs(source, stride, columns, depth, (uint*)panel);
            return;
        }

        for (int k = 0; k < depth; k++, source += stride, panel += TileKernel.Columns)
        {
            if (typeof(T) == typeof(float) && columns == TileKernel.Columns) TileRows.Copy((float*)source, panel);
            else Convert(source, columns, type, panel);
        }
    }

    // two rows share their lanes
    private static void StraightPairs<T>(T* source, nint stride, int columns, int depth, uint* panel)
        where T : unmanaged
    {
        ushort* first = stackalloc ushort[TileKernel.Columns], second = stackalloc ushort[TileKernel.Columns];
        for (int k = 0; k < depth; k += 2, source += 2 * stride, panel += TileKernel.Columns)
        {
            for (int row = RowsAhead; row < RowsAhead + 2; row++) CacheLines.Fetch((byte*)(source + row * stride), TileKernel.Columns * sizeof(T));
            ushort* low = Rounded(source, columns, first), high = k + 1 < depth ? Rounded(source + stride, columns, second) : Zeros(second);
            BFloat16Values.Pair(low, high, columns, panel);
        }
    }

    private static ushort* Rounded<T>(T* values, int count, ushort* room)
        where T : unmanaged
    {
        if (typeof(T) == typeof(ushort)) return (ushort*)values;

        BFloat16Values.Round(new(values, count), new(room, count));
        return room;
    }

    private static ushort* Zeros(ushort* room)
    {
        new Span<ushort>(room, TileKernel.Columns).Clear();
        return room;
    }

    /// <summary>Copies <paramref name="count"/> float32 values in the type of a row of A or of a panel.</summary>
    public static void Copy(float* source, int count, TileType type, void* destination)
    {
        if (type == TileType.Float32) new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(destination, count));
        else BFloat16Values.Round(new(source, count), new(destination, count));
    }

    private static void Convert<T>(T* source, int count, TileType type, float* lanes)
        where T : unmanaged
    {
        if (typeof(T) == typeof(float)) Copy((float*)source, count, type, lanes);
        else if (type == TileType.Float32) BFloat16Values.Widen(new(source, count), new(lanes, count));
        else new ReadOnlySpan<ushort>(source, count).CopyTo(new(lanes, count));
    }

    private static void Transpose(float* from, nint stride, float* to, int rows, float* square)
    {
        if (rows == Square)
        {
            Transpose(from, stride, to, square, fetches: false);
            return;
        }

        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < Square; c++) to[r * TileKernel.Columns + c] = from[c * stride + r];
        }
    }

    /// <summary>to[k][c] = from[c][k] for 16 by 16 lanes; by way of <paramref name="square"/> past the caches where that is not null.</summary>
    /// <remarks>In place, so that it is compiled with its loop: a model is loaded once, and would be by code that nobody has optimised yet.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(float* from, nint stride, float* to, float* square, bool fetches)
    {
        const int Half = Square / 2;
        if (Avx512F.IsSupported)
        {
            Turn(from, stride, to, fetches, streams: square is not null);
            return;
        }

        if (fetches) for (int i = 0; i < Square; i += 4) FetchFour(from + i * stride + Ahead, stride);

        float* turned = square is null ? to : square;
        nint columns = square is null ? TileKernel.Columns : Square;
        if (Avx.IsSupported)
        {
            // both halves of a row's line at once: of rows that are a multiple of a page apart, the nearest cache keeps eight
            LaneTranspose.EightByEight(from, stride, turned, columns);
            LaneTranspose.EightByEight(from + Half, stride, turned + Half * columns, columns);
            LaneTranspose.EightByEight(from + Half * stride, stride, turned + Half, columns);
            LaneTranspose.EightByEight(from + Half * stride + Half, stride, turned + Half * columns + Half, columns);
        }
        else
        {
            for (int k = 0; k < Square; k += 4)
            {
                LaneTranspose.EightByFour(from + k, stride, turned + k * columns, columns);
                LaneTranspose.EightByFour(from + k + Half * stride, stride, turned + k * columns + Half, columns);
            }
        }

        if (square is null) return;

        for (int k = 0; k < Square; k++, square += Square, to += TileKernel.Columns)
        {
            // not a vector of 512 bits, which the runtime would write into the caches where registers have less
            Vector256.Load(square).StoreAlignedNonTemporal(to);
            Vector256.Load(square + Half).StoreAlignedNonTemporal(to + Half);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Turn<T>(T* from, nint stride, float* to, bool fetches, bool streams)
        where T : unmanaged
    {
        // columns 4i + j of four rows come to block i of the j-th vector; then blocks of four vectors change places
        var (a0, a1, a2, a3) = Quad(from, stride, fetches);
        var (b0, b1, b2, b3) = Quad(from + 4 * stride, stride, fetches);
        var (c0, c1, c2, c3) = Quad(from + 8 * stride, stride, fetches);
        var (d0, d1, d2, d3) = Quad(from + 12 * stride, stride, fetches);
        Blocks(a0, b0, c0, d0, to, streams);
        Blocks(a1, b1, c1, d1, to + TileKernel.Columns, streams);
        Blocks(a2, b2, c2, d2, to + 2 * TileKernel.Columns, streams);
        Blocks(a3, b3, c3, d3, to + 3 * TileKernel.Columns, streams);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float>, Vector512<float>, Vector512<float>, Vector512<float>) Quad<T>(T* from, nint stride, bool fetches)
        where T : unmanaged
    {
        if (fetches) FetchFour((float*)from + Ahead, stride);
        var (r0, r1, r2, r3) = (Load(from), Load(from + stride), Load(from + 2 * stride), Load(from + 3 * stride));
        var (low01, high01) = (Avx512F.UnpackLow(r0, r1).AsDouble(), Avx512F.UnpackHigh(r0, r1).AsDouble());
        var (low23, high23) = (Avx512F.UnpackLow(r2, r3).AsDouble(), Avx512F.UnpackHigh(r2, r3).AsDouble());
        return (Avx512F.UnpackLow(low01, low23).AsSingle(), Avx512F.UnpackHigh(low01, low23).AsSingle(), Avx512F.UnpackLow(high01, high23).AsSingle(), Avx512F.UnpackHigh(high01, high23).AsSingle());
    }

    /// <summary>Sixteen lanes as they lie, or bfloat16 widened.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load<T>(T* from)
        where T : unmanaged =>
        typeof(T) == typeof(float) ? Vector512.Load((float*)from) : (Avx512F.ConvertToVector512UInt32(Vector256.Load((ushort*)from)) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FetchFour(float* from, nint stride)
    {
        if (!Sse.IsSupported) return;

        Sse.Prefetch1(from);
        Sse.Prefetch1(from + stride);
        Sse.Prefetch1(from + 2 * stride);
        Sse.Prefetch1(from + 3 * stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Blocks(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* to, bool streams)
    {
        const byte Even = 0x88, Odd = 0xdd;
        var (even1, odd1) = (Avx512F.Shuffle4x128(a, b, Even), Avx512F.Shuffle4x128(a, b, Odd));
        var (even2, odd2) = (Avx512F.Shuffle4x128(c, d, Even), Avx512F.Shuffle4x128(c, d, Odd));
        Put(Avx512F.Shuffle4x128(even1, even2, Even), to, streams);
        Put(Avx512F.Shuffle4x128(odd1, odd2, Even), to + 4 * TileKernel.Columns, streams);
        Put(Avx512F.Shuffle4x128(even1, even2, Odd), to + 8 * TileKernel.Columns, streams);
        Put(Avx512F.Shuffle4x128(odd1, odd2, Odd), to + 12 * TileKernel.Columns, streams);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(Vector512<float> lanes, float* to, bool streams)
    {
        if (streams) lanes.StoreAlignedNonTemporal(to);
        else lanes.Store(to);
    }
}
