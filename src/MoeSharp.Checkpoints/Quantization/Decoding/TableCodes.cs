using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Codes of four bits that stand for the entries of a table and share a scale, those of a byte's upper half first:
/// <c>to[i] = table[code i] · scale</c>. Reads no byte beyond the last code.
/// </summary>
internal static class TableCodes
{
    public const int Entries = 16;

    /// <summary>Decodes as many codes as <paramref name="to"/> holds.</summary>
    public static void Decode(ReadOnlySpan<byte> codes, ReadOnlySpan<float> table, float scale, Span<float> to)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(codes.Length, PackedCodes.ByteCount(to.Length, 4));
        ArgumentOutOfRangeException.ThrowIfLessThan(table.Length, Entries);

        if (Vector512.IsHardwareAccelerated) Decode<Words16>(codes, table, scale, to);
        else if (Vector256.IsHardwareAccelerated) Decode<Words8>(codes, table, scale, to);
        else Decode<Words4>(codes, table, scale, to);
    }

    /// <summary>The code at an index.</summary>
    public static int At(ReadOnlySpan<byte> codes, int index) => index % 2 == 0 ? codes[index / 2] >> 4 : codes[index / 2] & 0xf;

    /// <summary>The same with vectors of a given width, which the processor must have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]       // inlined into long methods it is compiled badly
    public static void Decode<TLanes>(ReadOnlySpan<byte> codes, ReadOnlySpan<float> table, float scale, Span<float> to)
        where TLanes : struct, IWordLanes<TLanes>
    {
        ref byte from = ref MemoryMarshal.GetReference(codes);
        ref float entries = ref MemoryMarshal.GetReference(table);
        ref float destination = ref MemoryMarshal.GetReference(to);
        var scales = TLanes.Create(scale);
        int i = 0;
        for (; i + TLanes.Count <= to.Length; i += TLanes.Count)
        {
            var words = TLanes.HighNibblesFirst(in Unsafe.Add(ref from, i / 2));
            TLanes.Multiply(TLanes.LookUp(words, in entries), scales).Store(ref Unsafe.Add(ref destination, i));
        }

        for (; i < to.Length; i++) to[i] = table[At(codes, i)] * scale;
    }
}
