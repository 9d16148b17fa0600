using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>Moves the chosen lanes of a vector together.</summary>
internal static unsafe class LaneCompress
{
    // for each choice of eight lanes, these lanes in order, a byte each
    private static readonly ulong[] Orders = [.. Enumerable.Range(0, 256).Select(Order)];

    /// <summary>Stores the lanes that <paramref name="chosen"/> has set, in order. May write sixteen values; those after the chosen ones mean nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<int> values, Vector512<int> chosen, int* to)
    {
        if (Avx512F.IsSupported) Avx512F.Compress(Vector512<int>.Zero, chosen, values).Store(to);
        else if (Avx2.IsSupported) StoreHalves(values, chosen, to);
        else StoreEach(values, chosen.ExtractMostSignificantBits(), to);
    }

    /// <summary>The lanes of <paramref name="first"/> up to <paramref name="count"/>, then the chosen ones of <paramref name="values"/>, in order; what follows means nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Append(Vector512<int> first, int count, Vector512<int> values, Vector512<int> chosen)
    {
        if (Avx512F.IsSupported)
        {
            // lanes wrap around: those before the place keep what is there
            var lanes = RowMath.Indices - Vector512.Create(count);
            var moved = Avx512F.PermuteVar16x32(Avx512F.Compress(Vector512<int>.Zero, chosen, values), lanes);
            return Vector512.ConditionalSelect(Vector512.LessThan(lanes, Vector512<int>.Zero), first, moved);
        }

        int* all = stackalloc int[2 * RowMath.Lanes];
        first.Store(all);
        StoreEach(values, chosen.ExtractMostSignificantBits(), all + Math.Min(count, RowMath.Lanes));
        return Vector512.Load(all);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreHalves(Vector512<int> values, Vector512<int> chosen, int* to)
    {
        uint lower = chosen.GetLower().ExtractMostSignificantBits(), upper = chosen.GetUpper().ExtractMostSignificantBits();
        Together(values.GetLower(), lower).Store(to);
        Together(values.GetUpper(), upper).Store(to + BitOperations.PopCount(lower));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Together(Vector256<int> values, uint chosen) =>
        Avx2.PermuteVar8x32(values, Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Orders[chosen]).AsByte()));

    private static ulong Order(int chosen)
    {
        ulong order = 0;
        for (int lane = 7; lane >= 0; lane--)
        {
            if ((chosen >> lane & 1) != 0) order = order << 8 | (uint)lane;
        }

        return order;
    }

    private static void StoreEach(Vector512<int> values, ulong chosen, int* to)
    {
        int* lanes = (int*)&values;
        for (; chosen != 0; chosen &= chosen - 1) *to++ = lanes[BitOperations.TrailingZeroCount(chosen)];
    }
}
