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
}
