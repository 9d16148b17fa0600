using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Checkpoints;

/// <summary>Bits of many bytes at once: the blocks of GGUF spread the bits of a number over several bytes. Lengths are multiples of 16.</summary>
internal static class BitFields
{
    /// <summary><c>to[i] = (from[i] &gt;&gt; shift) &amp; mask</c>.</summary>
    public static void Extract(ReadOnlySpan<byte> from, int shift, byte mask, Span<byte> to)
    {
        ref byte source = ref MemoryMarshal.GetReference(from);
        ref byte destination = ref MemoryMarshal.GetReference(to[..from.Length]);
        for (int i = 0; i < from.Length; i += Vector128<byte>.Count)
        {
            var bits = (Vector128.LoadUnsafe(ref source, (nuint)i) >> shift) & Vector128.Create(mask);
            bits.StoreUnsafe(ref destination, (nuint)i);
        }
    }

    /// <summary><c>to[i] |= ((from[i] &gt;&gt; shift) &amp; mask) &lt;&lt; place</c>.</summary>
    public static void Insert(ReadOnlySpan<byte> from, int shift, byte mask, int place, Span<byte> to)
    {
        ref byte source = ref MemoryMarshal.GetReference(from);
        ref byte destination = ref MemoryMarshal.GetReference(to[..from.Length]);
        for (int i = 0; i < from.Length; i += Vector128<byte>.Count)
        {
            var bits = ((Vector128.LoadUnsafe(ref source, (nuint)i) >> shift) & Vector128.Create(mask)) << place;
            (Vector128.LoadUnsafe(ref destination, (nuint)i) | bits).StoreUnsafe(ref destination, (nuint)i);
        }
    }

    /// <summary>Sixteen table entries for sixteen codes of 0 to 15.</summary>
    public static void LookUp(Span<byte> codes, ReadOnlySpan<byte> table)
    {
        var entries = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(table[..Vector128<byte>.Count]));
        ref byte first = ref MemoryMarshal.GetReference(codes);
        for (int i = 0; i < codes.Length; i += Vector128<byte>.Count)
        {
            Vector128.Shuffle(entries, Vector128.LoadUnsafe(ref first, (nuint)i)).StoreUnsafe(ref first, (nuint)i);
        }
    }
}
