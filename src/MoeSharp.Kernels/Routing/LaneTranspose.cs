using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>Sixteen rows to columns of sixteen lanes and back: four columns at a time, and what is left value by value.</summary>
internal static unsafe class LaneTranspose
{
    private const int Lanes = RowMath.Lanes, Half = Lanes / 2, Step = 4;

    /// <summary>columns[c, r] = rows[r, c] for sixteen rows of <paramref name="count"/> values.</summary>
    public static void ToColumns(float* rows, int count, float* columns)
    {
        int c = 0;
        for (; !Avx512F.IsSupported && Avx.IsSupported && c + Half <= count; c += Half)
        {
            for (int r = 0; r < Lanes; r += Half) EightByEight(rows + r * count + c, count, columns + c * Lanes + r, Lanes);
        }

        for (; c + Step <= count; c += Step)
        {
            if (Avx512F.IsSupported) FourToColumns(rows + c, count, columns + c * Lanes);
            else for (int r = 0; r < Lanes; r += Half) EightByFour(rows + r * count + c, count, columns + c * Lanes + r, Lanes);
        }

        for (; c < count; c++)
        {
            for (int r = 0; r < Lanes; r++) columns[c * Lanes + r] = rows[r * count + c];
        }
    }

    /// <summary>rows[r, c] = columns[c, r] for sixteen rows of <paramref name="count"/> values.</summary>
    public static void ToRows(float* columns, int count, float* rows)
    {
        int c = 0;
        for (; c + Step <= count; c += Step)
        {
            if (Avx512F.IsSupported) FourToRows(columns + c * Lanes, rows + c, count);
            else if (Avx.IsSupported) for (int r = 0; r < Lanes; r += Half) HalfOfFourToRows(columns + c * Lanes + r, rows + r * count + c, count);
            else for (int r = 0; r < Lanes; r += Step) Square(columns + c * Lanes + r, Lanes, rows + r * count + c, count);
        }

        for (; c < count; c++)
        {
            for (int r = 0; r < Lanes; r++) rows[r * count + c] = columns[c * Lanes + r];
        }
    }

    private static void FourToColumns(float* rows, int count, float* columns)
    {
        var (a, b, c, d) = Turn(EveryFourth(rows, count), EveryFourth(rows + count, count), EveryFourth(rows + 2 * count, count), EveryFourth(rows + 3 * count, count));
        a.Store(columns);
        b.Store(columns + Lanes);
        c.Store(columns + 2 * Lanes);
        d.Store(columns + 3 * Lanes);
    }

    private static void FourToRows(float* columns, float* rows, int count)
    {
        var (a, b, c, d) = Turn(Vector512.Load(columns), Vector512.Load(columns + Lanes), Vector512.Load(columns + 2 * Lanes), Vector512.Load(columns + 3 * Lanes));
        StoreEveryFourth(a, rows, count);
        StoreEveryFourth(b, rows + count, count);
        StoreEveryFourth(c, rows + 2 * count, count);
        StoreEveryFourth(d, rows + 3 * count, count);
    }

    // four values of every fourth row, put together by loads, which cost less than shuffles
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> EveryFourth(float* row, int count) => Vector512.Create(
        Vector256.Create(Vector128.Load(row), Vector128.Load(row + 4 * count)),
        Vector256.Create(Vector128.Load(row + 8 * count), Vector128.Load(row + 12 * count)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreEveryFourth(Vector512<float> values, float* row, int count)
    {
        values.GetLower().GetLower().Store(row);
        values.GetLower().GetUpper().Store(row + 4 * count);
        values.GetUpper().GetLower().Store(row + 8 * count);
        values.GetUpper().GetUpper().Store(row + 12 * count);
    }

    /// <summary>Transposes the four squares that lie side by side in four vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> A, Vector512<float> B, Vector512<float> C, Vector512<float> D) Turn(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        var (ab0, ab1) = (Avx512F.UnpackLow(a, b).AsDouble(), Avx512F.UnpackHigh(a, b).AsDouble());
        var (cd0, cd1) = (Avx512F.UnpackLow(c, d).AsDouble(), Avx512F.UnpackHigh(c, d).AsDouble());
        return (
            Avx512F.UnpackLow(ab0, cd0).AsSingle(),
            Avx512F.UnpackHigh(ab0, cd0).AsSingle(),
            Avx512F.UnpackLow(ab1, cd1).AsSingle(),
            Avx512F.UnpackHigh(ab1, cd1).AsSingle());
    }

    /// <summary>Eight rows of four values to four columns of eight lanes, where vectors have no more; <paramref name="stride"/> and <paramref name="columnStride"/> are values from one to the next.</summary>
    public static void EightByFour(float* rows, nint stride, float* columns, nint columnStride)
    {
        if (!Avx.IsSupported)
        {
            Square(rows, stride, columns, columnStride);
            Square(rows + Step * stride, stride, columns + Step, columnStride);
            return;
        }

        var (a, b, c, d) = Turn(BothFourth(rows, stride), BothFourth(rows + stride, stride), BothFourth(rows + 2 * stride, stride), BothFourth(rows + 3 * stride, stride));
        a.Store(columns);
        b.Store(columns + columnStride);
        c.Store(columns + 2 * columnStride);
        d.Store(columns + 3 * columnStride);
    }

    /// <summary>Eight rows of eight values to eight columns of eight lanes, by AVX; the strides are values from one to the next.</summary>
    /// <remarks>A quarter of the loads of four values at a time.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void EightByEight(float* rows, nint stride, float* columns, nint columnStride)
    {
        var (a, b, c, d) = Turn(Vector256.Load(rows), Vector256.Load(rows + stride), Vector256.Load(rows + 2 * stride), Vector256.Load(rows + 3 * stride));
        rows += 4 * stride;
        var (e, f, g, h) = Turn(Vector256.Load(rows), Vector256.Load(rows + stride), Vector256.Load(rows + 2 * stride), Vector256.Load(rows + 3 * stride));
        PutPair(a, e, columns, 4 * columnStride);
        PutPair(b, f, columns + columnStride, 4 * columnStride);
        PutPair(c, g, columns + 2 * columnStride, 4 * columnStride);
        PutPair(d, h, columns + 3 * columnStride, 4 * columnStride);
    }

    // two columns, of which each vector has half of either
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutPair(Vector256<float> top, Vector256<float> bottom, float* column, nint toOther)
    {
        const byte Lower = 0x20, Upper = 0x31;
        Avx.Permute2x128(top, bottom, Lower).Store(column);
        Avx.Permute2x128(top, bottom, Upper).Store(column + toOther);
    }

    private static void HalfOfFourToRows(float* columns, float* rows, int count)
    {
        var (a, b, c, d) = Turn(Vector256.Load(columns), Vector256.Load(columns + Lanes), Vector256.Load(columns + 2 * Lanes), Vector256.Load(columns + 3 * Lanes));
        StoreBothFourth(a, rows, count);
        StoreBothFourth(b, rows + count, count);
        StoreBothFourth(c, rows + 2 * count, count);
        StoreBothFourth(d, rows + 3 * count, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> BothFourth(float* row, nint stride) => Vector256.Create(Vector128.Load(row), Vector128.Load(row + 4 * stride));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreBothFourth(Vector256<float> values, float* row, int count)
    {
        values.GetLower().Store(row);
        values.GetUpper().Store(row + 4 * count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> A, Vector256<float> B, Vector256<float> C, Vector256<float> D) Turn(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
    {
        var (ab0, ab1) = (Avx.UnpackLow(a, b).AsDouble(), Avx.UnpackHigh(a, b).AsDouble());
        var (cd0, cd1) = (Avx.UnpackLow(c, d).AsDouble(), Avx.UnpackHigh(c, d).AsDouble());
        return (
            Avx.UnpackLow(ab0, cd0).AsSingle(),
            Avx.UnpackHigh(ab0, cd0).AsSingle(),
            Avx.UnpackLow(ab1, cd1).AsSingle(),
            Avx.UnpackHigh(ab1, cd1).AsSingle());
    }

    private static void Square(float* from, nint fromStride, float* to, nint toStride)
    {
        var (a, b, c, d) = (Vector128.Load(from), Vector128.Load(from + fromStride), Vector128.Load(from + 2 * fromStride), Vector128.Load(from + 3 * fromStride));
        var (ab0, ab1) = (Low(a, b), High(a, b));
        var (cd0, cd1) = (Low(c, d), High(c, d));
        Vector128.Create(ab0.GetLower(), cd0.GetLower()).Store(to);
        Vector128.Create(ab0.GetUpper(), cd0.GetUpper()).Store(to + toStride);
        Vector128.Create(ab1.GetLower(), cd1.GetLower()).Store(to + 2 * toStride);
        Vector128.Create(ab1.GetUpper(), cd1.GetUpper()).Store(to + 3 * toStride);
    }

    // a0 b0 a1 b1
    private static Vector128<float> Low(Vector128<float> a, Vector128<float> b) =>
        Vector128.ConditionalSelect(Vector128.Create(-1, 0, -1, 0).AsSingle(), Vector128.Shuffle(a, Vector128.Create(0, 0, 1, 1)), Vector128.Shuffle(b, Vector128.Create(0, 0, 1, 1)));

    // a2 b2 a3 b3
    private static Vector128<float> High(Vector128<float> a, Vector128<float> b) =>
        Vector128.ConditionalSelect(Vector128.Create(-1, 0, -1, 0).AsSingle(), Vector128.Shuffle(a, Vector128.Create(2, 2, 3, 3)), Vector128.Shuffle(b, Vector128.Create(2, 2, 3, 3)));
}
