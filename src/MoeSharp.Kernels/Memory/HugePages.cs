using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>Asks the system for huge pages: a stream of weights then misses few address translations, and fresh memory faults once per 2 MB.</summary>
internal static unsafe partial class HugePages
{
    /// <summary>The bytes of a huge page.</summary>
    public const int Size = 2 << 20;

    private const int Page = 4096;
    private const int Wanted = 14, Collapsed = 25;     // MADV_HUGEPAGE and MADV_COLLAPSE of Linux

    /// <summary>Asks for the whole pages of a range. Advice: without it everything works, slower.</summary>
    public static void AskFor(void* start, long bytes)
    {
        if (!OperatingSystem.IsLinux()) return;

        nint first = ((nint)start + Page - 1) & -Page, length = ((nint)start + (nint)bytes - first) & -Page;
        if (length >= Size) _ = Advise((void*)first, (nuint)length, Wanted);
    }

    /// <summary>
    /// Moves memory that holds something, such as libtorch's, to huge pages; addresses stay. Where the system does not (Linux before 6.1, no huge
    /// page free) the rest stays as it was.
    /// </summary>
    public static void Collapse(void* start, long bytes)
    {
        const long Step = 32L * Size;       // bounds what a system is asked for that has no huge page left
        if (!OperatingSystem.IsLinux()) return;

        byte* from = (byte*)(((nint)start + Size - 1) & -Size), end = (byte*)(((nint)start + (nint)bytes) & -Size);
        for (; from < end; from += Step)
        {
            if (Advise(from, (nuint)Math.Min(Step, end - from), Collapsed) != 0) return;
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Advise(void* address, nuint length, int advice);
}
