using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>F32: single precision, each number by itself.</summary>
internal readonly struct F32Block : IGgufBlock
{
    public static string Name => "F32";

    public static int Length => 1;

    public static int ByteCount => 4;

    public static float Value(ReadOnlySpan<byte> block, int index) => BitConverter.ToSingle(block);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to) => MemoryMarshal.Cast<byte, float>(block).CopyTo(to);
}

/// <summary>F16: half precision, each number by itself.</summary>
internal readonly struct F16Block : IGgufBlock
{
    public static string Name => "F16";

    public static int Length => 1;

    public static int ByteCount => 2;

    public static float Value(ReadOnlySpan<byte> block, int index) => GgufFields.Half(block, 0);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to) => HalfValues.Widen(block, to);
}

/// <summary>BF16: the upper half of a float32, each number by itself.</summary>
internal readonly struct BF16Block : IGgufBlock
{
    public static string Name => "BF16";

    public static int Length => 1;

    public static int ByteCount => 2;

    public static float Value(ReadOnlySpan<byte> block, int index) => BitConverter.Int32BitsToSingle(BitConverter.ToUInt16(block) << 16);

    public static void Decode(ReadOnlySpan<byte> block, Span<float> to) => BFloat16Values.Widen(MemoryMarshal.Cast<byte, ushort>(block), to);
}
