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

    private static void StoreEach(Vector512<int> values, ulong chosen, int* to)
    {
        int* lanes = (int*)&values;
        for (; chosen != 0; chosen &= chosen - 1) *to++ = lanes[BitOperations.TrailingZeroCount(chosen)];
    }
}
