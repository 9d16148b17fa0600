using System.ComponentModel;
using System.Runtime.InteropServices;

namespace MoeSharp.TestKit;

/// <summary>
/// Memory between two pages that nobody may touch: whoever reads or writes one byte before the first or after the last ends the process.
/// </summary>
public sealed unsafe partial class GuardedMemory : IDisposable
{
    private const int Guard = 65536; // a page or more, wherever we run

    private readonly byte* _start;
    private readonly nint _capacity;

    /// <summary>Reserves room for a number of bytes, rounded up to whole pages.</summary>
    public GuardedMemory(int bytes)
    {
        _capacity = (nint)(((long)bytes + Guard - 1) / Guard * Guard);
        _start = (OperatingSystem.IsWindows() ? OnWindows(_capacity) : OnUnix(_capacity)) + Guard;
    }

    /// <summary>The given number of bytes with a guard right after the last.</summary>
    public byte* Last(int bytes) => _start + _capacity - bytes;

    /// <summary>The given number of bytes with a guard right before the first.</summary>
    public byte* First(int bytes) => bytes <= _capacity ? _start : throw new ArgumentOutOfRangeException(nameof(bytes));

    public void Dispose()
    {
        if (OperatingSystem.IsWindows()) _ = VirtualFree(_start - Guard, 0, 0x8000);
        else _ = munmap(_start - Guard, _capacity + 2 * Guard);
    }

    private static byte* OnUnix(nint capacity)
    {
        const int None = 0, ReadWrite = 3, Private = 2;
        byte* whole = mmap(null, capacity + 2 * Guard, None, Private | (OperatingSystem.IsMacOS() ? 0x1000 : 0x20), -1, 0);
        if (whole == (byte*)-1 || mprotect(whole + Guard, capacity, ReadWrite) != 0) throw new Win32Exception();

        return whole;
    }

    private static byte* OnWindows(nint capacity)
    {
        const int Reserve = 0x2000, Commit = 0x1000, NoAccess = 1, ReadWrite = 4;
        byte* whole = VirtualAlloc(null, capacity + 2 * Guard, Reserve, NoAccess);
        if (whole is null || VirtualAlloc(whole + Guard, capacity, Commit, ReadWrite) is null) throw new Win32Exception();

        return whole;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial byte* mmap(void* address, nint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mprotect(void* address, nint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nint length);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial byte* VirtualAlloc(void* address, nint size, int type, int protection);

    [LibraryImport("kernel32")]
    private static partial int VirtualFree(void* address, nint size, int type);
}
