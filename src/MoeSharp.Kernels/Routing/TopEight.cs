using System.Numerics;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// The eight largest keys of each lane over many columns, by sorting networks between vectors: no branch, and nothing leaves the
/// registers (eight best, eight new, and a few in between).
/// </summary>
/// <remarks>
/// The low bits of a key give way to its column's number, counted down, so that the columns travel with the keys and equal keys come by
/// the lowest column. Keys that differ in these bits alone come out in any order.
/// </remarks>
internal static unsafe class TopEight
{
    /// <summary>How many are found.</summary>
    public const int Count = 8;

    /// <summary>The bits that a column's number takes, of <paramref name="columns"/>.</summary>
    public static int NumberBits(int columns) => (int)BitOperations.RoundUpToPowerOf2((uint)columns) - 1;

    /// <summary>The columns of packed keys.</summary>
    public static Vector512<int> Column(Vector512<int> packed, int numberBits) => Vector512.AndNot(Vector512.Create(numberBits), packed);

    /// <summary>Packs the keys and finds the largest.</summary>
    /// <param name="keys">The columns; a multiple of eight, those after the last one at <see cref="RowTopK.Taken"/>.</param>
    /// <param name="columns">How many columns there are.</param>
    /// <param name="best">Receives the eight largest packed keys, largest first, and the ninth.</param>
    public static void Of(Vector512<int>* keys, int columns, Vector512<int>* best)
    {
        int last = NumberBits(columns);
        var (bits, one, number) = (Vector512.Create(last), Vector512<int>.One, Vector512.Create(last));
        var taken = Vector512.Create(RowTopK.Taken);
        var (b0, b1, b2, b3, b4, b5, b6, b7, next) = (taken, taken, taken, taken, taken, taken, taken, taken, taken);
        for (int column = 0; column < columns; column += Count, keys += Count)
        {
            var a0 = Vector512.ConditionalSelect(bits, number, keys[0]);
            number -= one;
            var a1 = Vector512.ConditionalSelect(bits, number, keys[1]);
            number -= one;
            var a2 = Vector512.ConditionalSelect(bits, number, keys[2]);
            number -= one;
            var a3 = Vector512.ConditionalSelect(bits, number, keys[3]);
            number -= one;
            var a4 = Vector512.ConditionalSelect(bits, number, keys[4]);
            number -= one;
            var a5 = Vector512.ConditionalSelect(bits, number, keys[5]);
            number -= one;
            var a6 = Vector512.ConditionalSelect(bits, number, keys[6]);
            number -= one;
            var a7 = Vector512.ConditionalSelect(bits, number, keys[7]);
            number -= one;

            // sorts eight with 19 exchanges, the fewest there can be
            (a0, a2) = (Vector512.Max(a0, a2), Vector512.Min(a0, a2));
            (a1, a3) = (Vector512.Max(a1, a3), Vector512.Min(a1, a3));
            (a4, a6) = (Vector512.Max(a4, a6), Vector512.Min(a4, a6));
            (a5, a7) = (Vector512.Max(a5, a7), Vector512.Min(a5, a7));
            (a0, a4) = (Vector512.Max(a0, a4), Vector512.Min(a0, a4));
            (a1, a5) = (Vector512.Max(a1, a5), Vector512.Min(a1, a5));
            (a2, a6) = (Vector512.Max(a2, a6), Vector512.Min(a2, a6));
            (a3, a7) = (Vector512.Max(a3, a7), Vector512.Min(a3, a7));
            (a0, a1) = (Vector512.Max(a0, a1), Vector512.Min(a0, a1));
            (a2, a3) = (Vector512.Max(a2, a3), Vector512.Min(a2, a3));
            (a4, a5) = (Vector512.Max(a4, a5), Vector512.Min(a4, a5));
            (a6, a7) = (Vector512.Max(a6, a7), Vector512.Min(a6, a7));
            (a2, a4) = (Vector512.Max(a2, a4), Vector512.Min(a2, a4));
            (a3, a5) = (Vector512.Max(a3, a5), Vector512.Min(a3, a5));
            (a1, a4) = (Vector512.Max(a1, a4), Vector512.Min(a1, a4));
            (a3, a6) = (Vector512.Max(a3, a6), Vector512.Min(a3, a6));
            (a1, a2) = (Vector512.Max(a1, a2), Vector512.Min(a1, a2));
            (a3, a4) = (Vector512.Max(a3, a4), Vector512.Min(a3, a4));
            (a5, a6) = (Vector512.Max(a5, a6), Vector512.Min(a5, a6));

            // the larger halves of both lists, one turned around, are the eight largest; what is below them is kept for its largest
            (b0, a7) = (Vector512.Max(b0, a7), Vector512.Min(b0, a7));
            (b1, a6) = (Vector512.Max(b1, a6), Vector512.Min(b1, a6));
            (b2, a5) = (Vector512.Max(b2, a5), Vector512.Min(b2, a5));
            (b3, a4) = (Vector512.Max(b3, a4), Vector512.Min(b3, a4));
            (b4, a3) = (Vector512.Max(b4, a3), Vector512.Min(b4, a3));
            (b5, a2) = (Vector512.Max(b5, a2), Vector512.Min(b5, a2));
            (b6, a1) = (Vector512.Max(b6, a1), Vector512.Min(b6, a1));
            (b7, a0) = (Vector512.Max(b7, a0), Vector512.Min(b7, a0));
            next = Vector512.Max(next, Vector512.Max(Vector512.Max(Vector512.Max(a0, a1), Vector512.Max(a2, a3)), Vector512.Max(Vector512.Max(a4, a5), Vector512.Max(a6, a7))));

            // they rise and fall once: a bitonic merge sorts them
            (b0, b4) = (Vector512.Max(b0, b4), Vector512.Min(b0, b4));
            (b1, b5) = (Vector512.Max(b1, b5), Vector512.Min(b1, b5));
            (b2, b6) = (Vector512.Max(b2, b6), Vector512.Min(b2, b6));
            (b3, b7) = (Vector512.Max(b3, b7), Vector512.Min(b3, b7));
            (b0, b2) = (Vector512.Max(b0, b2), Vector512.Min(b0, b2));
            (b1, b3) = (Vector512.Max(b1, b3), Vector512.Min(b1, b3));
            (b4, b6) = (Vector512.Max(b4, b6), Vector512.Min(b4, b6));
            (b5, b7) = (Vector512.Max(b5, b7), Vector512.Min(b5, b7));
            (b0, b1) = (Vector512.Max(b0, b1), Vector512.Min(b0, b1));
            (b2, b3) = (Vector512.Max(b2, b3), Vector512.Min(b2, b3));
            (b4, b5) = (Vector512.Max(b4, b5), Vector512.Min(b4, b5));
            (b6, b7) = (Vector512.Max(b6, b7), Vector512.Min(b6, b7));
        }

        (best[0], best[1], best[2], best[3], best[4], best[5], best[6], best[7], best[8]) = (b0, b1, b2, b3, b4, b5, b6, b7, next);
    }
}
