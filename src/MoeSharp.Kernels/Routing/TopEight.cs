using System.Numerics;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// The eight largest keys of each lane over many columns, by sorting networks between vectors: no branch, and nothing leaves the
/// registers (eight best, eight new, and a few in between).
/// </summary>
/// <remarks>
/// The low bits of a key give way to its column's number, counted down, so that the columns travel with the keys and equal keys come by
/// the lowest column. Keys that differ in these bits alone come out in any order. Without 512-bit registers the two halves of the lanes
/// come one after the other: sixteen registers hold one half's keys, but not both.
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
        if (Vector512.IsHardwareAccelerated)
        {
            Of<Vector512<int>, WholeKeys>(keys, columns, best);
            return;
        }

        Of<Vector256<int>, HalfKeys>((Vector256<int>*)keys, columns, (Vector256<int>*)best);
        Of<Vector256<int>, HalfKeys>((Vector256<int>*)keys + 1, columns, (Vector256<int>*)best + 1);
    }

    private static void Of<TVector, TKeys>(TVector* keys, int columns, TVector* best)
        where TVector : unmanaged
        where TKeys : IKeyVectors<TVector>
    {
        int last = NumberBits(columns);
        var (bits, one, number, taken) = (TKeys.Create(last), TKeys.Create(1), TKeys.Create(last), TKeys.Create(RowTopK.Taken));
        var (b0, b1, b2, b3, b4, b5, b6, b7, next) = (taken, taken, taken, taken, taken, taken, taken, taken, taken);
        for (int column = 0; column < columns; column += Count, keys += Count * TKeys.Stride)
        {
            var a0 = TKeys.Select(bits, number, keys[0]);
            number = TKeys.Subtract(number, one);
            var a1 = TKeys.Select(bits, number, keys[TKeys.Stride]);
            number = TKeys.Subtract(number, one);
            var a2 = TKeys.Select(bits, number, keys[2 * TKeys.Stride]);
            number = TKeys.Subtract(number, one);
            var a3 = TKeys.Select(bits, number, keys[3 * TKeys.Stride]);
            number = TKeys.Subtract(number, one);
            var a4 = TKeys.Select(bits, number, keys[4 * TKeys.Stride]);
            number = TKeys.Subtract(number, one);
            var a5 = TKeys.Select(bits, number, keys[5 * TKeys.Stride]);
            number = TKeys.Subtract(number, one);
            var a6 = TKeys.Select(bits, number, keys[6 * TKeys.Stride]);
            number = TKeys.Subtract(number, one);
            var a7 = TKeys.Select(bits, number, keys[7 * TKeys.Stride]);
            number = TKeys.Subtract(number, one);

            // sorts eight with 19 exchanges, the fewest there can be
            (a0, a2) = (TKeys.Max(a0, a2), TKeys.Min(a0, a2));
            (a1, a3) = (TKeys.Max(a1, a3), TKeys.Min(a1, a3));
            (a4, a6) = (TKeys.Max(a4, a6), TKeys.Min(a4, a6));
            (a5, a7) = (TKeys.Max(a5, a7), TKeys.Min(a5, a7));
            (a0, a4) = (TKeys.Max(a0, a4), TKeys.Min(a0, a4));
            (a1, a5) = (TKeys.Max(a1, a5), TKeys.Min(a1, a5));
            (a2, a6) = (TKeys.Max(a2, a6), TKeys.Min(a2, a6));
            (a3, a7) = (TKeys.Max(a3, a7), TKeys.Min(a3, a7));
            (a0, a1) = (TKeys.Max(a0, a1), TKeys.Min(a0, a1));
            (a2, a3) = (TKeys.Max(a2, a3), TKeys.Min(a2, a3));
            (a4, a5) = (TKeys.Max(a4, a5), TKeys.Min(a4, a5));
            (a6, a7) = (TKeys.Max(a6, a7), TKeys.Min(a6, a7));
            (a2, a4) = (TKeys.Max(a2, a4), TKeys.Min(a2, a4));
            (a3, a5) = (TKeys.Max(a3, a5), TKeys.Min(a3, a5));
            (a1, a4) = (TKeys.Max(a1, a4), TKeys.Min(a1, a4));
            (a3, a6) = (TKeys.Max(a3, a6), TKeys.Min(a3, a6));
            (a1, a2) = (TKeys.Max(a1, a2), TKeys.Min(a1, a2));
            (a3, a4) = (TKeys.Max(a3, a4), TKeys.Min(a3, a4));
            (a5, a6) = (TKeys.Max(a5, a6), TKeys.Min(a5, a6));

            // the larger halves of both lists, one turned around, are the eight largest; what is below them is kept for its largest
            (b0, a7) = (TKeys.Max(b0, a7), TKeys.Min(b0, a7));
            (b1, a6) = (TKeys.Max(b1, a6), TKeys.Min(b1, a6));
            (b2, a5) = (TKeys.Max(b2, a5), TKeys.Min(b2, a5));
            (b3, a4) = (TKeys.Max(b3, a4), TKeys.Min(b3, a4));
            (b4, a3) = (TKeys.Max(b4, a3), TKeys.Min(b4, a3));
            (b5, a2) = (TKeys.Max(b5, a2), TKeys.Min(b5, a2));
            (b6, a1) = (TKeys.Max(b6, a1), TKeys.Min(b6, a1));
            (b7, a0) = (TKeys.Max(b7, a0), TKeys.Min(b7, a0));
            next = TKeys.Max(next, TKeys.Max(TKeys.Max(TKeys.Max(a0, a1), TKeys.Max(a2, a3)), TKeys.Max(TKeys.Max(a4, a5), TKeys.Max(a6, a7))));

            // they rise and fall once: a bitonic merge sorts them
            (b0, b4) = (TKeys.Max(b0, b4), TKeys.Min(b0, b4));
            (b1, b5) = (TKeys.Max(b1, b5), TKeys.Min(b1, b5));
            (b2, b6) = (TKeys.Max(b2, b6), TKeys.Min(b2, b6));
            (b3, b7) = (TKeys.Max(b3, b7), TKeys.Min(b3, b7));
            (b0, b2) = (TKeys.Max(b0, b2), TKeys.Min(b0, b2));
            (b1, b3) = (TKeys.Max(b1, b3), TKeys.Min(b1, b3));
            (b4, b6) = (TKeys.Max(b4, b6), TKeys.Min(b4, b6));
            (b5, b7) = (TKeys.Max(b5, b7), TKeys.Min(b5, b7));
            (b0, b1) = (TKeys.Max(b0, b1), TKeys.Min(b0, b1));
            (b2, b3) = (TKeys.Max(b2, b3), TKeys.Min(b2, b3));
            (b4, b5) = (TKeys.Max(b4, b5), TKeys.Min(b4, b5));
            (b6, b7) = (TKeys.Max(b6, b7), TKeys.Min(b6, b7));
        }

        best[0] = b0;
        best[TKeys.Stride] = b1;
        best[2 * TKeys.Stride] = b2;
        best[3 * TKeys.Stride] = b3;
        best[4 * TKeys.Stride] = b4;
        best[5 * TKeys.Stride] = b5;
        best[6 * TKeys.Stride] = b6;
        best[7 * TKeys.Stride] = b7;
        best[8 * TKeys.Stride] = next;
    }

    /// <summary>What the networks do with keys, so that they stay in registers of either width.</summary>
    private interface IKeyVectors<TVector>
    {
        /// <summary>How many vectors a column of sixteen lanes has.</summary>
        static abstract int Stride { get; }

        static abstract TVector Create(int key);

        static abstract TVector Subtract(TVector a, TVector b);

        static abstract TVector Max(TVector a, TVector b);

        static abstract TVector Min(TVector a, TVector b);

        static abstract TVector Select(TVector bits, TVector ones, TVector zeros);
    }

    private readonly struct WholeKeys : IKeyVectors<Vector512<int>>
    {
        public static int Stride => 1;

        public static Vector512<int> Create(int key) => Vector512.Create(key);

        public static Vector512<int> Subtract(Vector512<int> a, Vector512<int> b) => a - b;

        public static Vector512<int> Max(Vector512<int> a, Vector512<int> b) => Vector512.Max(a, b);

        public static Vector512<int> Min(Vector512<int> a, Vector512<int> b) => Vector512.Min(a, b);

        public static Vector512<int> Select(Vector512<int> bits, Vector512<int> ones, Vector512<int> zeros) => Vector512.ConditionalSelect(bits, ones, zeros);
    }

    private readonly struct HalfKeys : IKeyVectors<Vector256<int>>
    {
        public static int Stride => 2;

        public static Vector256<int> Create(int key) => Vector256.Create(key);

        public static Vector256<int> Subtract(Vector256<int> a, Vector256<int> b) => a - b;

        public static Vector256<int> Max(Vector256<int> a, Vector256<int> b) => Vector256.Max(a, b);

        public static Vector256<int> Min(Vector256<int> a, Vector256<int> b) => Vector256.Min(a, b);

        public static Vector256<int> Select(Vector256<int> bits, Vector256<int> ones, Vector256<int> zeros) => Vector256.ConditionalSelect(bits, ones, zeros);
    }
}
