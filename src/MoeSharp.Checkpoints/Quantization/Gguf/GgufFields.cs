namespace MoeSharp.Checkpoints;

/// <summary>What blocks of GGUF have in common.</summary>
internal static class GgufFields
{
    /// <summary>A half-precision number at a place.</summary>
    public static float Half(ReadOnlySpan<byte> block, int at) => (float)BitConverter.ToHalf(block[at..]);

    /// <summary>A number of <paramref name="bits"/> bits out of a byte.</summary>
    public static int Bits(byte value, int shift, int bits) => (value >> shift) & ((1 << bits) - 1);

    /// <summary>Lower halves of bytes, then their upper halves: the order of numbers in blocks of 32.</summary>
    public static int NibbleOf(ReadOnlySpan<byte> bytes, int index) => Bits(bytes[index % 16], index / 16 * 4, 4);

    /// <inheritdoc cref="NibbleOf"/>
    public static void NibblesOf(ReadOnlySpan<byte> bytes, Span<byte> to)
    {
        BitFields.Extract(bytes[..16], 0, 0xf, to);
        BitFields.Extract(bytes[..16], 4, 0xf, to[16..]);
    }
}
