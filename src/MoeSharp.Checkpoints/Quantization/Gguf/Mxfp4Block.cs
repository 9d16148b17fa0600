namespace MoeSharp.Checkpoints;

/// <summary>
/// MXFP4 as GGUF has it: an exponent, 16 bytes of nibbles; the values are doubled to be whole and the scale is halved,
/// <c>2^(e - 128) · {0, 1, 2, 3, 4, 6, 8, 12}</c>. There is no negative zero, and an exponent of 255 is no NaN.
/// </summary>
internal readonly struct Mxfp4Block : IGgufBlock
{
    public static string Name => "MXFP4";

    public static int Length => 32;

    public static int ByteCount => 17;

    private static ReadOnlySpan<byte> Doubled => [0, 1, 2, 3, 4, 6, 8, 12, 0, 0xff, 0xfe, 0xfd, 0xfc, 0xfa, 0xf8, 0xf4];

    public static float Value(ReadOnlySpan<byte> block, int index) =>
        MathF.ScaleB(1, block[0] - 128) * (sbyte)Doubled[GgufFields.NibbleOf(block[1..], index)];

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[Length];
        GgufFields.NibblesOf(block[1..], codes);
        BitFields.LookUp(codes, Doubled);
        ScaledCodes.Decode<SignedByteCode>(codes, MathF.ScaleB(1, block[0] - 128), to);
    }
}
