using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Transposes sixteen rows of sixteen values, in squares of four by four.</summary>
internal static unsafe class LaneTranspose
{
    /// <summary>to[c, r] = from[r, c].</summary>
    public static void Square(float* from, float* to)
    {
        for (int r = 0; r < RowMath.Lanes; r += 4)
        {
            for (int c = 0; c < RowMath.Lanes; c += 4) Four(from + r * RowMath.Lanes + c, to + c * RowMath.Lanes + r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four(float* from, float* to)
    {
        var (a, b, c, d) = (Vector128.Load(from), Vector128.Load(from + RowMath.Lanes), Vector128.Load(from + 2 * RowMath.Lanes), Vector128.Load(from + 3 * RowMath.Lanes));
        var (ab0, ab1) = (Low(a, b), High(a, b));
        var (cd0, cd1) = (Low(c, d), High(c, d));
        Pairs(ab0, cd0, low: true).Store(to);
        Pairs(ab0, cd0, low: false).Store(to + RowMath.Lanes);
        Pairs(ab1, cd1, low: true).Store(to + 2 * RowMath.Lanes);
        Pairs(ab1, cd1, low: false).Store(to + 3 * RowMath.Lanes);
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
