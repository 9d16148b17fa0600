using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Whole numbers of 2, 4 or 8 bits in groups that share a zero point and a scale, decoded:
/// <c>to[i] = (code i - zero[i / group]) · scale[i / group]</c>. The difference is exact, so that there is one rounding. Reads no byte
/// beyond the last code.
/// </summary>
internal static class IntegerCodes
{
    /// <summary>Decodes as many codes as <paramref name="to"/> holds.</summary>
    /// <param name="codes">The codes, which start at a whole byte.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="zeros">A zero point for each group.</param>
    /// <param name="scales">A scale for each group.</param>
    /// <param name="group">Codes of a group; the last may have fewer.</param>
    /// <param name="to">The floats.</param>
    public static void Decode(ReadOnlySpan<byte> codes, int bits, ReadOnlySpan<int> zeros, ReadOnlySpan<float> scales, int group, Span<float> to)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes.Length, PackedCodes.ByteCount(to.Length, bits));
        ArgumentOutOfRangeException.ThrowIfLessThan((long)scales.Length * group, to.Length);
        ArgumentOutOfRangeException.ThrowIfLessThan(zeros.Length, scales.Length);

        bool startsAtBytes = scales.Length <= 1 || (long)group * bits % 8 == 0;
        if (bits == 4 && startsAtBytes) DecodeAs<Nibbles>(codes, zeros, scales, group, to);
        else if (bits == 8) DecodeAs<Bytes>(codes, zeros, scales, group, to);
        else DecodePlainly(codes, bits, zeros, scales, group, to, 0, to.Length);
    }

    /// <summary>Decodes codes that all have the same zero point and scale.</summary>
    public static void Decode(ReadOnlySpan<byte> codes, int bits, int zero, float scale, Span<float> to) =>
        Decode(codes, bits, [zero], [scale], Math.Max(to.Length, 1), to);

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]       // inlined into long methods it is compiled badly
    public static void Decode<TWidth, TLanes>(ReadOnlySpan<byte> codes, ReadOnlySpan<int> zeros, ReadOnlySpan<float> scales, int group, Span<float> to)
        where TWidth : struct, IWidth
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte from = ref MemoryMarshal.GetReference(codes);
        ref float destination = ref MemoryMarshal.GetReference(to);
        int i = 0;
        for (int index = 0; index < scales.Length; index++)
        {
            int end = (int)Math.Min((long)i + group, to.Length), zero = zeros[index];
            var (difference, factor) = (TLanes.Create(zero), TLanes.Create(scales[index]));
            for (; i + TLanes.Count <= end; i += TLanes.Count)
            {
                ref byte part = ref Unsafe.Add(ref from, TWidth.Bits == 8 ? i : i >> 1);
                var words = TWidth.Bits == 8 ? TLanes.Bytes(in part) : TLanes.LowNibblesFirst(in part);
                TLanes.Multiply(TLanes.ToSingle(words - difference), factor).Store(ref Unsafe.Add(ref destination, i));
            }

            if (i < end) DecodePlainly(codes, TWidth.Bits, zeros, scales, group, to, i, end);
            i = end;
        }
    }

    private static void DecodePlainly(ReadOnlySpan<byte> codes, int bits, ReadOnlySpan<int> zeros, ReadOnlySpan<float> scales, int group, Span<float> to, int first, int end)
    {
        for (int i = first; i < end; i++) to[i] = (PackedCodes.At(codes, i, bits) - zeros[i / group]) * scales[i / group];
    }

    private static void DecodeAs<TWidth>(ReadOnlySpan<byte> codes, ReadOnlySpan<int> zeros, ReadOnlySpan<float> scales, int group, Span<float> to)
        where TWidth : struct, IWidth
    {
        if (Vector512.IsHardwareAccelerated) Decode<TWidth, Words16>(codes, zeros, scales, group, to);
        else if (Vector256.IsHardwareAccelerated) Decode<TWidth, Words8>(codes, zeros, scales, group, to);
        else Decode<TWidth, Words4>(codes, zeros, scales, group, to);
    }

    /// <summary>A width that is known when the loop is compiled.</summary>
    internal interface IWidth
    {
        static abstract int Bits { get; }
    }

    internal readonly struct Nibbles : IWidth
    {
        public static int Bits => 4;
    }

    internal readonly struct Bytes : IWidth
    {
        public static int Bits => 8;
    }
}
