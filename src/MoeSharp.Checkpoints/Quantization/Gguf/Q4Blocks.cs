namespace MoeSharp.Checkpoints;

/// <summary>Q4_0: <c>d</c> f16, 16 bytes of nibbles; <c>d · (q - 8)</c>.</summary>
internal readonly struct Q4Block0 : IGgufBlock
{
    public static string Name => "Q4_0";

    public static int Length => 32;

    public static int ByteCount => 18;

    public static float Value(ReadOnlySpan<byte> block, int index) =>
        GgufFields.Half(block, 0) * (GgufFields.NibbleOf(block[2..], index) - 8);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[Length];
        GgufFields.NibblesOf(block[2..], codes);
        IntegerCodes.Decode(codes, 8, zero: 8, GgufFields.Half(block, 0), to);
    }
}

/// <summary>Q4_1: <c>d</c>, <c>m</c> f16, 16 bytes of nibbles; <c>d · q + m</c>.</summary>
internal readonly struct Q4Block1 : IGgufBlock
{
    public static string Name => "Q4_1";

    public static int Length => 32;

    public static int ByteCount => 20;

    public static float Value(ReadOnlySpan<byte> block, int index) =>
        GgufFields.Half(block, 0) * GgufFields.NibbleOf(block[4..], index) + GgufFields.Half(block, 2);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to)
    {
        Span<byte> codes = stackalloc byte[Length];
        GgufFields.NibblesOf(block[4..], codes);
        AffineBytes.Decode(codes, GgufFields.Half(block, 0), GgufFields.Half(block, 2), to);
    }
}
