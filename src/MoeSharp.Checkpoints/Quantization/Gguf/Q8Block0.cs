namespace MoeSharp.Checkpoints;

/// <summary>Q8_0: <c>d</c> f16, 32 signed bytes; <c>d · q</c>.</summary>
internal readonly struct Q8Block0 : IGgufBlock
{
    public static string Name => "Q8_0";

    public static int Length => 32;

    public static int ByteCount => 34;

    public static float Value(ReadOnlySpan<byte> block, int index) => GgufFields.Half(block, 0) * (sbyte)block[2 + index];

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to) =>
        ScaledCodes.Decode<SignedByteCode>(block[2..], GgufFields.Half(block, 0), to);
}
