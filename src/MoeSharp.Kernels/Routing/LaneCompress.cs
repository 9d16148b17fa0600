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

    /// <summary>
    /// Stores the lanes of both vectors that <paramref name="chosen"/> has set, in order, and returns how many. May write sixteen values each;
    /// those after the chosen ones mean nothing.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Store(Vector512<int> values, Vector512<int> others, Vector512<int> chosen, int* to, int* toOthers)
    {
        if (Avx512F.IsSupported)
        {
            Avx512F.Compress(Vector512<int>.Zero, chosen, values).Store(to);
            Avx512F.Compress(Vector512<int>.Zero, chosen, others).Store(toOthers);
            return BitOperations.PopCount(chosen.ExtractMostSignificantBits());
        }

        if (Avx2.IsSupported)
        {
            int lower = StoreHalf(values.GetLower(), others.GetLower(), chosen.GetLower(), to, toOthers);
            return lower + StoreHalf(values.GetUpper(), others.GetUpper(), chosen.GetUpper(), to + lower, toOthers + lower);
        }

        StoreEach(values, chosen.ExtractMostSignificantBits(), to);
        StoreEach(others, chosen.ExtractMostSignificantBits(), toOthers);
        return BitOperations.PopCount(chosen.ExtractMostSignificantBits());
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
    private static int StoreHalf(Vector256<int> values, Vector256<int> others, Vector256<int> chosen, int* to, int* toOthers)
    {
        uint lanes = chosen.ExtractMostSignificantBits();
        var order = Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Orders[lanes]).AsByte());
        Avx2.PermuteVar8x32(values, order).Store(to);
        Avx2.PermuteVar8x32(others, order).Store(toOthers);
        return BitOperations.PopCount(lanes);
    }

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
