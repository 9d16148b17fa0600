using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Codes that share a scale, decoded: <c>to[i] = value(code i) · scale</c>, one multiplication in float32. A vector of codes at a time, the
/// rest one by one; reads no byte beyond the last code.
/// </summary>
internal static class ScaledCodes
{
    /// <summary>Decodes as many codes as <paramref name="to"/> holds; <paramref name="codes"/> starts at a whole byte.</summary>
    public static void Decode<TCode>(ReadOnlySpan<byte> codes, float scale, Span<float> to)
        where TCode : struct, IWeightCode
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes.Length, PackedCodes.ByteCount(to.Length, TCode.Bits));

        if (Vector512.IsHardwareAccelerated) Decode<TCode, Words16>(codes, scale, to);
        else if (Vector256.IsHardwareAccelerated) Decode<TCode, Words8>(codes, scale, to);
        else Decode<TCode, Words4>(codes, scale, to);
    }

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TCode, TLanes>(ReadOnlySpan<byte> codes, float scale, Span<float> to)
        where TCode : struct, IWeightCode
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte from = ref MemoryMarshal.GetReference(codes);
        ref float destination = ref MemoryMarshal.GetReference(to);
        var scales = TLanes.Create(scale);
        int i = 0;
        for (; i + TLanes.Count <= to.Length; i += TLanes.Count)
        {
            ref byte part = ref Unsafe.Add(ref from, TCode.Bits == 8 ? i : i / 2);
            var words = TCode.Bits == 8 ? TLanes.Bytes(in part) : TLanes.LowNibblesFirst(in part);
            TLanes.Multiply(TCode.Values(words), scales).Store(ref Unsafe.Add(ref destination, i));
        }

        for (; i < to.Length; i++) to[i] = TCode.Value(PackedCodes.At(codes, i, TCode.Bits)) * scale;
    }
}
