using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>Lines of the caches, of 64 bytes.</summary>
internal static unsafe class CacheLines
{
    private const int Size = 64;

    /// <summary>Brings memory nearer that is read soon, in an order that the processor does not see coming: into the second cache. It may lie outside of everything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fetch(byte* from, nint bytes)
    {
        if (!Sse.IsSupported) return;

        for (byte* end = from + bytes; from < end; from += Size) Sse.Prefetch1(from);
    }

    /// <summary>Sixteen lines that are read soon, and once: past the caches that other things stay in. Without a loop, which would take as long as it saves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FetchSixteenOnce(byte* from)
    {
        FetchFourOnce(from);
        FetchFourOnce(from + 4 * Size);
        FetchFourOnce(from + 8 * Size);
        FetchFourOnce(from + 12 * Size);
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
