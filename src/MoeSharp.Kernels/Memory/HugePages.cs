using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>Asks the system for huge pages: a stream of weights then misses few address translations, and fresh memory faults once per 2 MB.</summary>
internal static unsafe partial class HugePages
{
    /// <summary>The bytes of a huge page.</summary>
    public const int Size = 2 << 20;

    private const int Page = 4096;
    private const int Wanted = 14;     // MADV_HUGEPAGE of Linux

    /// <summary>Asks for the whole pages of a range. Advice: without it everything works, slower.</summary>
    public static void AskFor(void* start, long bytes)
    {
        if (!OperatingSystem.IsLinux()) return;

        nint first = ((nint)start + Page - 1) & -Page, length = ((nint)start + (nint)bytes - first) & -Page;
        if (length >= Size) _ = Advise((void*)first, (nuint)length, Wanted);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Advise(void* address, nuint length, int advice);
}
