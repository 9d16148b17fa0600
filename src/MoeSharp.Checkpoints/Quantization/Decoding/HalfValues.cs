using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>Half precision to float32, exactly; reads no byte beyond the last number.</summary>
internal static class HalfValues
{
    /// <summary>Widens as many numbers as <paramref name="to"/> holds.</summary>
    public static void Widen(ReadOnlySpan<byte> halves, Span<float> to)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(halves.Length, (long)to.Length * 2);

        if (Vector512.IsHardwareAccelerated) Widen<Words16>(halves, to);
        else if (Vector256.IsHardwareAccelerated) Widen<Words8>(halves, to);
        else Widen<Words4>(halves, to);
    }

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]       // inlined into long methods it is compiled badly
    public static void Widen<TLanes>(ReadOnlySpan<byte> halves, Span<float> to)
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte from = ref MemoryMarshal.GetReference(halves);
        ref float destination = ref MemoryMarshal.GetReference(to);
        int i = 0;
        for (; i + TLanes.Count <= to.Length; i += TLanes.Count)
        {
            var codes = TLanes.Shorts(in Unsafe.Add(ref from, 2 * i));
            var magnitude = codes & TLanes.Create(0x7fff);
            var isSpecial = TLanes.LessThan(TLanes.Create(0x7bff), magnitude);
            var values = SmallFloatLanes.Widen(codes, magnitude, bits: 16, mantissaBits: 10, bias: 15) | (isSpecial & TLanes.Create(SmallFloatLanes.Infinity));
            values.Store(ref Unsafe.Add(ref destination, i));
        }

        for (; i < to.Length; i++) to[i] = (float)BitConverter.ToHalf(halves[(2 * i)..]);
    }
}
