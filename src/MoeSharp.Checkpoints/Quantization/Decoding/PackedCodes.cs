namespace MoeSharp.Checkpoints;

/// <summary>Codes of 2, 4 or 8 bits in a row of bytes, the lowest bits of a byte first.</summary>
internal static class PackedCodes
{
    /// <summary>The bytes that hold a number of codes.</summary>
    public static long ByteCount(long codes, int bits) => (codes * bits + 7) / 8;

    /// <summary>One code.</summary>
    public static byte At(ReadOnlySpan<byte> codes, int index, int bits) =>
        (byte)((codes[(int)((long)index * bits / 8)] >> (int)((long)index * bits % 8)) & ((1 << bits) - 1));
}
