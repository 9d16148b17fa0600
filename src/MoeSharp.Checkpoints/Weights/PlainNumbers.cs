using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>Numbers of the types that are stored as they are: float32, bfloat16 and float16.</summary>
internal static class PlainNumbers
{
    /// <summary>The bytes of a number.</summary>
    public static int Size(TensorType type) => type == TensorType.F32 ? sizeof(float) : sizeof(ushort);

    /// <summary>To float32, exactly.</summary>
    /// <param name="from">Numbers of the type, as many as <paramref name="to"/> holds.</param>
    /// <param name="type">F32, BF16 or F16.</param>
    /// <param name="to">Filled.</param>
    public static void Widen(ReadOnlySpan<byte> from, TensorType type, Span<float> to)
    {
        if (type == TensorType.F32) from.CopyTo(MemoryMarshal.AsBytes(to));
        else if (type == TensorType.BF16) BFloat16Values.Widen(MemoryMarshal.Cast<byte, ushort>(from), to);
        else HalfValues.Widen(from, to);
    }

    /// <summary>From float32, rounded to nearest, ties to even; what is too large for the type becomes infinite.</summary>
    /// <param name="from">The numbers.</param>
    /// <param name="type">F32, BF16 or F16.</param>
    /// <param name="to">Filled with as many.</param>
    public static void Narrow(ReadOnlySpan<float> from, TensorType type, Span<byte> to)
    {
        if (type == TensorType.F32) MemoryMarshal.AsBytes(from).CopyTo(to);
        else if (type == TensorType.BF16) BFloat16Values.Round(from, MemoryMarshal.Cast<byte, ushort>(to));
        else Narrow(from, MemoryMarshal.Cast<byte, Half>(to));
    }

    private static void Narrow(ReadOnlySpan<float> from, Span<Half> to)
    {
        for (int i = 0; i < from.Length; i++) to[i] = (Half)from[i];
    }
}
