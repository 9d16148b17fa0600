using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>
/// Memory outside the garbage collector's heap, aligned to 64 bytes, and from 2 MB on to huge pages, which the system is asked for: a
/// stream of weights then misses few address translations (5 to 7 % faster where it was measured).
/// </summary>
internal sealed unsafe class AlignedMemory : IDisposable
{
    private byte* _start;

    /// <summary>Allocates <paramref name="length"/> bytes, whose content means nothing yet.</summary>
    /// <exception cref="InsufficientMemoryException">The system does not give so much; the message names <paramref name="purpose"/>.</exception>
    public AlignedMemory(long length, string purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        var bytes = (nuint)Math.Max(length, 1);
        try
        {
            _start = (byte*)NativeMemory.AlignedAlloc(bytes, bytes < HugePages.Size ? (nuint)CacheLines.Size : HugePages.Size);
        }
        catch (OutOfMemoryException error)
        {
            GC.SuppressFinalize(this);
            throw new InsufficientMemoryException($"There is no memory for {purpose}: {length:N0} bytes were asked for.", error);
        }

        HugePages.AskFor(_start, length);
        GC.AddMemoryPressure(Math.Max(length, 1));
    }

    ~AlignedMemory() => Free();

    /// <summary>The number of bytes.</summary>
    public long Length { get; }

    /// <summary>The first byte.</summary>
    public byte* Start => _start;

    /// <summary>Sets all bytes to zero.</summary>
    public void Clear() => NativeMemory.Clear(_start, (nuint)Length);

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_start is null) return;

        NativeMemory.AlignedFree(_start);
        _start = null;
        GC.RemoveMemoryPressure(Math.Max(Length, 1));
    }
}
