using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>Moves the chosen lanes of a vector together.</summary>
internal static unsafe class LaneCompress
{
    /// <summary>Stores the lanes that <paramref name="chosen"/> has set, in order. May write sixteen values; those after the chosen ones mean nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<int> values, Vector512<int> chosen, int* to)
    {
        if (Avx512F.IsSupported) Avx512F.Compress(Vector512<int>.Zero, chosen, values).Store(to);
        else StoreEach(values, chosen.ExtractMostSignificantBits(), to);
    }

    /// <summary>The lanes of <paramref name="first"/> up to <paramref name="count"/>, then the chosen ones of <paramref name="values"/>, in order; what follows means nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Append(Vector512<int> first, int count, Vector512<int> values, Vector512<int> chosen)
    {
        if (Avx512F.IsSupported)
        {
            // lanes wrap around: those before the place keep what is there
            var lanes = Vector512<int>.Indices - Vector512.Create(count);
            var moved = Avx512F.PermuteVar16x32(Avx512F.Compress(Vector512<int>.Zero, chosen, values), lanes);
            return Vector512.ConditionalSelect(Vector512.LessThan(lanes, Vector512<int>.Zero), first, moved);
        }

        int* all = stackalloc int[2 * RowMath.Lanes];
        first.Store(all);
        StoreEach(values, chosen.ExtractMostSignificantBits(), all + Math.Min(count, RowMath.Lanes));
        return Vector512.Load(all);
    }

    private static void StoreEach(Vector512<int> values, ulong chosen, int* to)
    {
        int* lanes = (int*)&values;
        for (; chosen != 0; chosen &= chosen - 1) *to++ = lanes[BitOperations.TrailingZeroCount(chosen)];
    }
}
