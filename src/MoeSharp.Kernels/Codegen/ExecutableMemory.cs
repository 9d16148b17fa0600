using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>Memory for machine code: written first, then made executable and read-only; never both writable and executable.</summary>
/// <remarks>Code lives as long as the process: there is nothing to free, and no call that could outlive its code.</remarks>
internal static unsafe partial class ExecutableMemory
{
    /// <summary>The address of a copy of the code, or 0 where the system forbids it, as hardened ones do.</summary>
    public static nint TryPublish(byte[] code) => (nint)(OperatingSystem.IsWindows() ? OnWindows(code) : OnUnix(code));

    private static void* OnUnix(ReadOnlySpan<byte> code)
    {
        const int Read = 1, Write = 2, Execute = 4, Private = 2;
        void* memory = mmap(null, code.Length, Read | Write, Private | (OperatingSystem.IsMacOS() ? 0x1000 : 0x20), -1, 0); // MAP_ANONYMOUS differs
        if ((nint)memory == -1) return null;

        code.CopyTo(new Span<byte>(memory, code.Length));
        if (mprotect(memory, code.Length, Read | Execute) == 0) return memory;

        _ = munmap(memory, code.Length);
        return null;
    }

    private static void* OnWindows(ReadOnlySpan<byte> code)
    {
        const int CommitAndReserve = 0x3000, Release = 0x8000, ReadWrite = 0x04, ExecuteRead = 0x20;
        void* memory = VirtualAlloc(null, code.Length, CommitAndReserve, ReadWrite);
        if (memory is null) return null;

        code.CopyTo(new Span<byte>(memory, code.Length));
        if (VirtualProtect(memory, code.Length, ExecuteRead, out _) != 0) return memory;

        _ = VirtualFree(memory, 0, Release);
        return null;
    }

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int mprotect(void* address, nint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nint length);

    [LibraryImport("kernel32")]
    private static partial void* VirtualAlloc(void* address, nint size, int type, int protection);

    [LibraryImport("kernel32")]
    private static partial int VirtualProtect(void* address, nint size, int protection, out int old);

    [LibraryImport("kernel32")]
    private static partial int VirtualFree(void* address, nint size, int type);
}
