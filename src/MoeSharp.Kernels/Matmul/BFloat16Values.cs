using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>float32 to bfloat16, its upper half: rounded to nearest, ties to even; a NaN stays one. And back, which changes no value.</summary>
internal static unsafe class BFloat16Values
{
    /// <summary>Rounds every value.</summary>
    public static void Round(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length);
        fixed (float* from = source)
        fixed (ushort* to = destination)
        {
            if (Vector512.IsHardwareAccelerated) Round<Lanes16>(from, to, source.Length);
            else if (Vector256.IsHardwareAccelerated) Round<Lanes8>(from, to, source.Length);
            else Round<Lanes4>(from, to, source.Length);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Round<TLanes>(float* from, ushort* to, int count)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        int i = 0;
        for (; i + TLanes.Count <= count; i += TLanes.Count) TLanes.Load(from + i).StoreBFloat16(to + i);
        for (; i < count; i++) to[i] = Round(from[i]);
    }

    /// <summary>Rounds a value.</summary>
    public static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | 0x40) : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Puts values into the lower halves of lanes, whose higher halves become zero, or into the higher halves.</summary>
    public static void PutHalf(ushort* values, int count, uint* lanes, bool isHigh)
    {
        int i = 0;
        for (; i + Vector256<uint>.Count <= count; i += Vector256<uint>.Count)
        {
            var wide = Vector256.WidenLower(Vector128.Load(values + i).ToVector256Unsafe());
            if (isHigh) wide = (wide << 16) | Vector256.Load(lanes + i);
            wide.Store(lanes + i);
        }

        for (; i < count; i++) lanes[i] = isHigh ? lanes[i] | (uint)values[i] << 16 : values[i];
    }

    /// <summary>Puts values of two rows into lanes: the first's into the lower halves.</summary>
    public static void Pair(ushort* first, ushort* second, int count, uint* lanes)
    {
        int i = 0;
        for (; i + Vector256<ushort>.Count <= count; i += Vector256<ushort>.Count)
        {
            var (low, lowEnd) = Vector256.Widen(Vector256.Load(first + i));
            var (high, highEnd) = Vector256.Widen(Vector256.Load(second + i));
            (low | (high << 16)).Store(lanes + i);
            (lowEnd | (highEnd << 16)).Store(lanes + i + Vector256<uint>.Count);
        }

        for (; i < count; i++) lanes[i] = first[i] | (uint)second[i] << 16;
    }

    /// <summary>The float32 of every value.</summary>
    public static void Widen(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length);
        fixed (ushort* from = source)
        fixed (float* to = destination)
        {
            int i = 0;
            for (; i + Vector128<ushort>.Count <= source.Length; i += Vector128<ushort>.Count)
            {
                var (low, high) = Vector128.Widen(Vector128.Load(from + i));
                (low << 16).AsSingle().Store(to + i);
                (high << 16).AsSingle().Store(to + i + Vector128<float>.Count);
            }

            for (; i < source.Length; i++) to[i] = BitConverter.UInt32BitsToSingle((uint)from[i] << 16);
        }
    }
}
