using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Codes in groups that share a scale, decoded: <c>to[i] = value(code i) · scale[i / group]</c>, one multiplication in float32. A vector of
/// codes at a time, the rest of a group one by one; reads no byte beyond the last code.
/// </summary>
internal static class ScaledCodes
{
    /// <summary>Decodes as many codes as <paramref name="to"/> holds.</summary>
    /// <param name="codes">The codes, which start at a whole byte, as all groups do.</param>
    /// <param name="scales">A scale for each group.</param>
    /// <param name="group">Codes of a group; the last may have fewer.</param>
    /// <param name="to">The floats.</param>
    public static void Decode<TCode>(ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, int group, Span<float> to)
        where TCode : struct, IWeightCode
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes.Length, PackedCodes.ByteCount(to.Length, TCode.Bits));
        ArgumentOutOfRangeException.ThrowIfLessThan((long)scales.Length * group, to.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(scales.Length > 1 ? (long)group * TCode.Bits % 8 : 0, 0);

        if (Vector512.IsHardwareAccelerated) Decode<TCode, Words16>(codes, scales, group, to);
        else if (Vector256.IsHardwareAccelerated) Decode<TCode, Words8>(codes, scales, group, to);
        else Decode<TCode, Words4>(codes, scales, group, to);
    }

    /// <summary>Decodes codes that all have the same scale.</summary>
    public static void Decode<TCode>(ReadOnlySpan<byte> codes, float scale, Span<float> to)
        where TCode : struct, IWeightCode => Decode<TCode>(codes, [scale], Math.Max(to.Length, 1), to);

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]       // inlined into long methods it is compiled badly
    public static void Decode<TCode, TLanes>(ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, int group, Span<float> to)
        where TCode : struct, IWeightCode
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte from = ref MemoryMarshal.GetReference(codes);
        ref float destination = ref MemoryMarshal.GetReference(to);
        int i = 0;
        foreach (float scale in scales)
        {
            int end = (int)Math.Min((long)i + group, to.Length);
            var factor = TLanes.Create(scale);
            for (; i + TLanes.Count <= end; i += TLanes.Count)
            {
                ref byte part = ref Unsafe.Add(ref from, TCode.Bits == 8 ? i : i >> 1);
                var words = TCode.Bits == 8 ? TLanes.Bytes(in part) : TLanes.LowNibblesFirst(in part);
                TLanes.Multiply(TCode.Values(words), factor).Store(ref Unsafe.Add(ref destination, i));
            }

            if (i < end) DecodePlainly<TCode>(codes, scale, to, i, end);
            i = end;
        }
    }

    private static void DecodePlainly<TCode>(ReadOnlySpan<byte> codes, float scale, Span<float> to, int first, int end)
        where TCode : struct, IWeightCode
    {
        for (int i = first; i < end; i++) to[i] = TCode.Value(PackedCodes.At(codes, i, TCode.Bits)) * scale;
    }
}
