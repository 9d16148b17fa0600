using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Transposes sixteen rows, in squares of four by four.</summary>
internal static unsafe class LaneTranspose
{
    /// <summary>to[c, r] = from[r, c] for sixteen rows of some columns.</summary>
    /// <param name="from">The rows, one after another.</param>
    /// <param name="to">Receives the columns, sixteen values each.</param>
    /// <param name="columns">The number of columns.</param>
    public static void ToColumns(float* from, float* to, int columns)
    {
        int c = 0;
        for (; c + 4 <= columns; c += 4)
        {
            for (int r = 0; r < RowMath.Lanes; r += 4) Four(from + r * columns + c, columns, to + c * RowMath.Lanes + r, RowMath.Lanes);
        }

        for (; c < columns; c++)
        {
            for (int r = 0; r < RowMath.Lanes; r++) to[c * RowMath.Lanes + r] = from[r * columns + c];
        }
    }

    /// <summary>The way back: to[r, c] = from[c, r].</summary>
    public static void ToRows(float* from, float* to, int columns)
    {
        int c = 0;
        for (; c + 4 <= columns; c += 4)
        {
            for (int r = 0; r < RowMath.Lanes; r += 4) Four(from + c * RowMath.Lanes + r, RowMath.Lanes, to + r * columns + c, columns);
        }

        for (; c < columns; c++)
        {
            for (int r = 0; r < RowMath.Lanes; r++) to[r * columns + c] = from[c * RowMath.Lanes + r];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four(float* from, int fromStride, float* to, int toStride)
    {
        var (a, b, c, d) = (Vector128.Load(from), Vector128.Load(from + fromStride), Vector128.Load(from + 2 * fromStride), Vector128.Load(from + 3 * fromStride));
        var (ab0, ab1) = (Low(a, b), High(a, b));
        var (cd0, cd1) = (Low(c, d), High(c, d));
        Pairs(ab0, cd0, low: true).Store(to);
        Pairs(ab0, cd0, low: false).Store(to + toStride);
        Pairs(ab1, cd1, low: true).Store(to + 2 * toStride);
        Pairs(ab1, cd1, low: false).Store(to + 3 * toStride);
    }

    // a0 b0 a1 b1
    private static Vector128<float> Low(Vector128<float> a, Vector128<float> b) =>
        Vector128.ConditionalSelect(Vector128.Create(-1, 0, -1, 0).AsSingle(), Vector128.Shuffle(a, Vector128.Create(0, 0, 1, 1)), Vector128.Shuffle(b, Vector128.Create(0, 0, 1, 1)));

    // a2 b2 a3 b3
    private static Vector128<float> High(Vector128<float> a, Vector128<float> b) =>
        Vector128.ConditionalSelect(Vector128.Create(-1, 0, -1, 0).AsSingle(), Vector128.Shuffle(a, Vector128.Create(2, 2, 3, 3)), Vector128.Shuffle(b, Vector128.Create(2, 2, 3, 3)));

    // the first or the second halves of both
    private static Vector128<float> Pairs(Vector128<float> a, Vector128<float> b, bool low) =>
        low ? Vector128.Create(a.GetLower(), b.GetLower()) : Vector128.Create(a.GetUpper(), b.GetUpper());
}
