using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>float32 to bfloat16, its upper half: rounded to nearest, ties to even; a NaN stays one.</summary>
internal static class BFloat16Values
{
    /// <summary>Rounds every value.</summary>
    public static void Round(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        ref float from = ref MemoryMarshal.GetReference(source);
        ref ushort to = ref MemoryMarshal.GetReference(destination);
        int i = 0;
        for (; i + 32 <= source.Length; i += 32)
        {
            var (lower, upper) = (Rounded(Vector512.LoadUnsafe(ref from, (nuint)i)), Rounded(Vector512.LoadUnsafe(ref from, (nuint)i + 16)));
            Vector512.Narrow(lower, upper).StoreUnsafe(ref to, (nuint)i);
        }

        for (; i < source.Length; i++) destination[i] = Round(source[i]);
    }

    /// <summary>Rounds a value.</summary>
    public static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | 0x40) : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>The rounded values in the lower halves of their lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Rounded(Vector512<float> values)
    {
        var bits = values.AsUInt32();
        var upper = bits >>> 16;
        var rounded = (bits + Vector512.Create(0x7fffu) + (upper & Vector512<uint>.One)) >>> 16;
        return Vector512.ConditionalSelect(Vector512.Equals(values, values).AsUInt32(), rounded, upper | Vector512.Create(0x40u));
    }
}
