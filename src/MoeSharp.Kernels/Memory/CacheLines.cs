using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>Lines of the caches.</summary>
internal static unsafe class CacheLines
{
    /// <summary>The bytes of one.</summary>
    public const int Size = 64;

    /// <summary>A number of bytes, or an address, up to the next full line.</summary>
    public static nint RoundUp(nint bytes) => (bytes + Size - 1) & -Size;

    /// <summary>Brings memory nearer that is read soon, in an order that the processor does not see coming: into the second cache. It may lie outside of everything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fetch(byte* from, nint bytes)
    {
        if (!Sse.IsSupported) return;

        for (byte* end = from + bytes; from < end; from += Size) Sse.Prefetch1(from);
    }

    /// <summary>Eight lines that are read soon, and once: past the caches that other things stay in. Without a loop, which would take as long as it saves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FetchEightOnce(byte* from)
    {
        FetchFourOnce(from);
        FetchFourOnce(from + 4 * Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FetchFourOnce(byte* from)
    {
        if (!Sse.IsSupported) return;

        Sse.PrefetchNonTemporal(from);
        Sse.PrefetchNonTemporal(from + Size);
        Sse.PrefetchNonTemporal(from + 2 * Size);
        Sse.PrefetchNonTemporal(from + 3 * Size);
    }
}
