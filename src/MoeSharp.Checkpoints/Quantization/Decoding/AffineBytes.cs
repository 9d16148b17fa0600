using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>Bytes with a scale and an offset, decoded: <c>to[i] = from[i] · scale + offset</c>, rounded after the product and after the sum.</summary>
internal static class AffineBytes
{
    public static void Decode(ReadOnlySpan<byte> from, float scale, float offset, Span<float> to)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(from.Length, to.Length);

        if (Vector512.IsHardwareAccelerated) Decode<Words16>(from, scale, offset, to);
        else if (Vector256.IsHardwareAccelerated) Decode<Words8>(from, scale, offset, to);
        else Decode<Words4>(from, scale, offset, to);
    }

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]       // inlined into long methods it is compiled badly
    public static void Decode<TLanes>(ReadOnlySpan<byte> from, float scale, float offset, Span<float> to)
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte source = ref MemoryMarshal.GetReference(from);
        ref float destination = ref MemoryMarshal.GetReference(to);
        var (scales, offsets) = (TLanes.Create(scale), TLanes.Create(offset));
        int i = 0;
        for (; i + TLanes.Count <= to.Length; i += TLanes.Count)
        {
            var values = TLanes.ToSingle(TLanes.Bytes(in Unsafe.Add(ref source, i)));
            TLanes.Add(TLanes.Multiply(values, scales), offsets).Store(ref Unsafe.Add(ref destination, i));
        }

        for (; i < to.Length; i++) to[i] = from[i] * scale + offset;
    }
}
