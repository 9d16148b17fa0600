using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>Keeps threads on one processor each, where the system lets a thread say so: Linux.</summary>
internal static unsafe partial class ThreadAffinity
{
    private const int Words = 16;       // 1024 processors, as many as glibc's cpu_set_t has
    private const int Bits = 64;

    /// <summary>The processors that this thread may run on; none where the system does not say.</summary>
    public static IReadOnlyList<int> Processors()
    {
        ulong* mask = stackalloc ulong[Words];
        new Span<ulong>(mask, Words).Clear();
        if (!OperatingSystem.IsLinux() || GetAffinity(0, Words * sizeof(ulong), mask) != 0) return [];

        var processors = new List<int>();
        for (int i = 0; i < Words * Bits; i++)
        {
            if ((mask[i / Bits] >> (i % Bits) & 1) != 0) processors.Add(i);
        }

        return processors;
    }

    /// <summary>Keeps this thread on a processor; false where it may not be.</summary>
    public static bool TryPin(int processor)
    {
        ulong* mask = stackalloc ulong[Words];
        new Span<ulong>(mask, Words).Clear();
        mask[processor / Bits] = 1UL << (processor % Bits);
        return OperatingSystem.IsLinux() && SetAffinity(0, Words * sizeof(ulong), mask) == 0;
    }

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int GetAffinity(int thread, nint size, ulong* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetAffinity(int thread, nint size, ulong* mask);
}
