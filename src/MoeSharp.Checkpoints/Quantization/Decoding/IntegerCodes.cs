using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Whole numbers of 4 or 8 bits that share a zero point and a scale, decoded: <c>to[i] = (code i - zero) · scale</c>. The difference is
/// exact, so that there is one rounding. Reads no byte beyond the last code.
/// </summary>
internal static class IntegerCodes
{
    /// <summary>Decodes as many codes as <paramref name="to"/> holds; <paramref name="codes"/> starts at a whole byte.</summary>
    public static void Decode(ReadOnlySpan<byte> codes, int bits, int zero, float scale, Span<float> to)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes.Length, PackedCodes.ByteCount(to.Length, bits));

        if (bits == 4) DecodeAs<Nibbles>(codes, zero, scale, to);
        else if (bits == 8) DecodeAs<Bytes>(codes, zero, scale, to);
        else DecodePlainly(codes, bits, zero, scale, to);
    }

    /// <summary>The obvious loop.</summary>
    public static void DecodePlainly(ReadOnlySpan<byte> codes, int bits, int zero, float scale, Span<float> to)
    {
        for (int i = 0; i < to.Length; i++) to[i] = (PackedCodes.At(codes, i, bits) - zero) * scale;
    }

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TWidth, TLanes>(ReadOnlySpan<byte> codes, int zero, float scale, Span<float> to)
        where TWidth : struct, IWidth
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte from = ref MemoryMarshal.GetReference(codes);
        ref float destination = ref MemoryMarshal.GetReference(to);
        var (zeros, scales) = (TLanes.Create(zero), TLanes.Create(scale));
        int i = 0;
        for (; i + TLanes.Count <= to.Length; i += TLanes.Count)
        {
            ref byte part = ref Unsafe.Add(ref from, TWidth.Bits == 8 ? i : i / 2);
            var words = TWidth.Bits == 8 ? TLanes.Bytes(in part) : TLanes.LowNibblesFirst(in part);
            TLanes.Multiply(TLanes.ToSingle(words - zeros), scales).Store(ref Unsafe.Add(ref destination, i));
        }

        DecodePlainly(codes[(int)PackedCodes.ByteCount(i, TWidth.Bits)..], TWidth.Bits, zero, scale, to[i..]);
    }

    private static void DecodeAs<TWidth>(ReadOnlySpan<byte> codes, int zero, float scale, Span<float> to)
        where TWidth : struct, IWidth
    {
        if (Vector512.IsHardwareAccelerated) Decode<TWidth, Words16>(codes, zero, scale, to);
        else if (Vector256.IsHardwareAccelerated) Decode<TWidth, Words8>(codes, zero, scale, to);
        else Decode<TWidth, Words4>(codes, zero, scale, to);
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
