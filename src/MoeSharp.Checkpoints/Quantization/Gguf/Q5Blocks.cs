namespace MoeSharp.Checkpoints;

/// <summary>Q5_0: <c>d</c> f16, 32 fifth bits, 16 bytes of nibbles; <c>d · (q - 16)</c>.</summary>
internal readonly struct Q5Block0 : IGgufBlock
{
    public static string Name => "Q5_0";

    public static int Length => 32;

    public static int ByteCount => 22;

    public static float Value(ReadOnlySpan<byte> block, int index) =>
        GgufFields.Half(block, 0) * (FiveBits.At(block[2..], index) - 16);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[Length];
        FiveBits.All(block[2..], codes);
        IntegerCodes.Decode(codes, 8, zero: 16, GgufFields.Half(block, 0), to);
    }
}

/// <summary>Q5_1: <c>d</c>, <c>m</c> f16, 32 fifth bits, 16 bytes of nibbles; <c>d · q + m</c>.</summary>
internal readonly struct Q5Block1 : IGgufBlock
{
    public static string Name => "Q5_1";

    public static int Length => 32;

    public static int ByteCount => 24;

    public static float Value(ReadOnlySpan<byte> block, int index) =>
        GgufFields.Half(block, 0) * FiveBits.At(block[4..], index) + GgufFields.Half(block, 2);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[Length];
        FiveBits.All(block[4..], codes);
        AffineBytes.Decode(codes, GgufFields.Half(block, 0), GgufFields.Half(block, 2), to);
    }
}

/// <summary>Four bytes of fifth bits, then 16 bytes of nibbles.</summary>
internal static class FiveBits
{
    public static int At(ReadOnlySpan<byte> bytes, int index) =>
        GgufFields.NibbleOf(bytes[4..], index) | (GgufFields.Bits(bytes[index / 8], index % 8, 1) << 4);

    public static void All(ReadOnlySpan<byte> bytes, Span<byte> to)
    {
        GgufFields.NibblesOf(bytes[4..], to);
        uint fifth = BitConverter.ToUInt32(bytes);
        for (int i = 0; i < to.Length; i++) to[i] |= (byte)((fifth >> i << 4) & 0x10);
    }
}
