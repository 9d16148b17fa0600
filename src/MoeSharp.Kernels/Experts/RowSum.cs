using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Sums over rows and along them, in vectors of the processor's width.</summary>
internal static unsafe class RowSum
{
    /// <summary>to = Σ weight · row, over the slots that have a row.</summary>
    /// <param name="rows">The row of each slot; -1 for none.</param>
    /// <param name="weights">The weight of each slot.</param>
    /// <param name="isWeighted">Whether the weights count; else each is one.</param>
    /// <param name="values">The rows, of whole panels.</param>
    /// <param name="type">Their type.</param>
    /// <param name="stride">Values from a row to the next.</param>
    /// <param name="to">Receives the sum.</param>
    /// <param name="size">The number of values.</param>
    /// <param name="next">The rows of the sum that comes after this one, which are fetched meanwhile.</param>
    public static void Of(ReadOnlySpan<int> rows, ReadOnlySpan<float> weights, bool isWeighted, void* values, TileType type, int stride, float* to, int size, ReadOnlySpan<int> next)
    {
        if (type == TileType.Float32) Of<Float32Rows>(rows, weights, isWeighted, values, stride, to, size, next);
        else Of<BFloat16Rows>(rows, weights, isWeighted, values, stride, to, size, next);
    }

    /// <summary>to += weight · row, as one slot more of <see cref="Of"/>.</summary>
    public static void Add(float weight, void* row, TileType type, float* to, int size)
    {
        if (type == TileType.Float32) Add<Float32Rows>(weight, row, to, size);
        else Add<BFloat16Rows>(weight, row, to, size);
    }

    /// <summary>Σ a · b.</summary>
    public static float Dot(float* a, float* b, int size) =>
        Vector512.IsHardwareAccelerated ? Dot<Lanes16>(a, b, size)
        : Vector256.IsHardwareAccelerated ? Dot<Lanes8>(a, b, size)
        : Dot<Lanes4>(a, b, size);

    /// <summary>Adds Σ over rows of up to 16 columns, of which all can be read.</summary>
    public static void AddColumns(float* values, nint stride, int rows, float* to, int columns)
    {
        if (Vector512.IsHardwareAccelerated) AddColumns<Lanes16>(values, stride, rows, to, columns);
        else if (Vector256.IsHardwareAccelerated) AddColumns<Lanes8>(values, stride, rows, to, columns);
        else AddColumns<Lanes4>(values, stride, rows, to, columns);
    }

    private static void Of<TRows>(ReadOnlySpan<int> rows, ReadOnlySpan<float> weights, bool isWeighted, void* values, int stride, float* to, int size, ReadOnlySpan<int> next)
        where TRows : struct, IRows
    {
        if (Vector512.IsHardwareAccelerated) Of<Lanes16, TRows>(rows, weights, isWeighted, values, stride, to, size, next);
        else if (Vector256.IsHardwareAccelerated) Of<Lanes8, TRows>(rows, weights, isWeighted, values, stride, to, size, next);
        else Of<Lanes4, TRows>(rows, weights, isWeighted, values, stride, to, size, next);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Of<TLanes, TRows>(ReadOnlySpan<int> rows, ReadOnlySpan<float> weights, bool isWeighted, void* values, int stride, float* to, int size, ReadOnlySpan<int> next)
        where TLanes : struct, IFloatLanes<TLanes>
        where TRows : struct, IRows
    {
        int column = 0;
        for (; column + 4 * TLanes.Count <= size; column += 4 * TLanes.Count)
        {
            foreach (int row in next)
            {
                if (row >= 0) CacheLines.Fetch((byte*)values + TRows.Size * ((long)row * stride + column), TRows.Size * 4 * TLanes.Count);
            }

            TLanes s0 = default, s1 = default, s2 = default, s3 = default;
            for (int slot = 0; slot < rows.Length; slot++)
            {
                if (rows[slot] < 0) continue;

                long row = (long)rows[slot] * stride + column;
                var weight = TLanes.Create(isWeighted ? weights[slot] : 1);
                s0 = TLanes.MultiplyAdd(weight, TRows.Load<TLanes>(values, row), s0);
                s1 = TLanes.MultiplyAdd(weight, TRows.Load<TLanes>(values, row + TLanes.Count), s1);
                s2 = TLanes.MultiplyAdd(weight, TRows.Load<TLanes>(values, row + 2 * TLanes.Count), s2);
                s3 = TLanes.MultiplyAdd(weight, TRows.Load<TLanes>(values, row + 3 * TLanes.Count), s3);
            }

            s0.Store(to + column);
            s1.Store(to + column + TLanes.Count);
            s2.Store(to + column + 2 * TLanes.Count);
            s3.Store(to + column + 3 * TLanes.Count);
        }

        for (; column < size; column += TLanes.Count)
        {
            TLanes sum = default;
            for (int slot = 0; slot < rows.Length; slot++)
            {
                if (rows[slot] < 0) continue;

                long row = (long)rows[slot] * stride + column;      // whole panels: there is something to read
                sum = TLanes.MultiplyAdd(TLanes.Create(isWeighted ? weights[slot] : 1), TRows.Load<TLanes>(values, row), sum);
            }

            Store(sum, to + column, size - column);
        }
    }

    private static void Add<TRows>(float weight, void* row, float* to, int size)
        where TRows : struct, IRows
    {
        if (Vector512.IsHardwareAccelerated) Add<Lanes16, TRows>(weight, row, to, size);
        else if (Vector256.IsHardwareAccelerated) Add<Lanes8, TRows>(weight, row, to, size);
        else Add<Lanes4, TRows>(weight, row, to, size);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Add<TLanes, TRows>(float weight, void* row, float* to, int size)
        where TLanes : struct, IFloatLanes<TLanes>
        where TRows : struct, IRows
    {
        int i = 0;
        for (; i + TLanes.Count <= size; i += TLanes.Count) TLanes.MultiplyAdd(TLanes.Create(weight), TRows.Load<TLanes>(row, i), TLanes.Load(to + i)).Store(to + i);
        for (; i < size; i++) to[i] = MathF.FusedMultiplyAdd(weight, TRows.ValueOf(row, i), to[i]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float Dot<TLanes>(float* a, float* b, int size)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        TLanes sum = default;
        int i = 0;
        for (; i + TLanes.Count <= size; i += TLanes.Count) sum = TLanes.MultiplyAdd(TLanes.Load(a + i), TLanes.Load(b + i), sum);

        float total = TLanes.Sum(sum);
        for (; i < size; i++) total = MathF.FusedMultiplyAdd(a[i], b[i], total);
        return total;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddColumns<TLanes>(float* values, nint stride, int rows, float* to, int columns)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        const int Most = 16;
        float* sums = stackalloc float[Most];
        new Span<float>(sums, Most).Clear();
        new ReadOnlySpan<float>(to, columns).CopyTo(new(sums, Most));
        for (int column = 0; column < columns; column += TLanes.Count)
        {
            TLanes sum = TLanes.Load(sums + column);
            float* value = values + column;
            for (int row = 0; row < rows; row++, value += stride) sum += TLanes.Load(value);

            sum.Store(sums + column);
        }

        new ReadOnlySpan<float>(sums, columns).CopyTo(new(to, columns));
    }

    private static void Store<TLanes>(TLanes values, float* to, int count)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        if (count >= TLanes.Count)
        {
            values.Store(to);
            return;
        }

        float* all = stackalloc float[TLanes.Count];
        values.Store(all);
        new ReadOnlySpan<float>(all, count).CopyTo(new(to, count));
    }

    // rows of a type
    private interface IRows
    {
        static abstract int Size { get; }

        static abstract TLanes Load<TLanes>(void* values, long index)
            where TLanes : struct, IFloatLanes<TLanes>;

        static abstract float ValueOf(void* values, long index);
    }

    private readonly struct Float32Rows : IRows
    {
        public static int Size => sizeof(float);

        public static TLanes Load<TLanes>(void* values, long index)
            where TLanes : struct, IFloatLanes<TLanes> => TLanes.Load((float*)values + index);

        public static float ValueOf(void* values, long index) => ((float*)values)[index];
    }

    private readonly struct BFloat16Rows : IRows
    {
        public static int Size => sizeof(ushort);

        public static TLanes Load<TLanes>(void* values, long index)
            where TLanes : struct, IFloatLanes<TLanes> => TLanes.LoadBFloat16((ushort*)values + index);

        public static float ValueOf(void* values, long index) => BitConverter.UInt32BitsToSingle((uint)((ushort*)values)[index] << 16);
    }
}
