using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A file in memory without being read: pages come from the disk when they are touched. The mapping is held from the first call of
/// <see cref="Bytes"/> to <see cref="Dispose"/>, so that spans stay valid in between; a file that is forgotten stays mapped rather than
/// pull memory from under a span that is still in use. A file of which only the header is read is never mapped.
/// </summary>
internal sealed unsafe partial class MappedFile : IByteSource, IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly Lock _mapping = new();
    private MemoryMappedFile? _map;
    private MemoryMappedViewAccessor? _view;
    private volatile byte* _start;
    private volatile bool _isDisposed;

    private MappedFile(string path, SafeFileHandle handle)
    {
        Path = path;
        _handle = handle;
        Length = RandomAccess.GetLength(handle);
    }

    public string Path { get; }

    public long Length { get; }

    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="CheckpointException">It does not exist or cannot be read.</exception>
    public static MappedFile Open(string path)
    {
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return new MappedFile(path, handle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            handle?.Dispose();
            throw new CheckpointException(path, $"The file cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The bytes from <paramref name="offset"/> on, which the caller has checked to lie in the file; valid until <see cref="Dispose"/>.</summary>
    /// <exception cref="CheckpointException">The file cannot be mapped.</exception>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length - offset);
        if (count == 0) return [];      // of an empty file too, which the system does not map

        if (_start is null) Map();
        return new ReadOnlySpan<byte>(_start + offset, count);
    }

    /// <summary>Copies bytes by reading, which unlike a mapping reports a failing disk as an exception.</summary>
    public void Read(long offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);

        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(_handle, destination, offset);
            if (read == 0)
            {
                throw new CheckpointException(Path, $"The file ended at byte {offset} while it was in use: something truncated it.");
            }

            destination = destination[read..];
            offset += read;
        }
    }

    /// <summary>Gives back the memory of pages that were touched, where the system can be told; whoever touches them again reads them again.</summary>
    public void Release()
    {
        const int DontNeed = 4;

        if (_start is not null && !_isDisposed && !OperatingSystem.IsWindows()) _ = madvise(_start, (nint)Length, DontNeed);      // advice: that it failed does not matter
    }

    private void Map()
    {
        lock (_mapping)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_start is not null) return;

            try
            {
                _map = MemoryMappedFile.CreateFromFile(_handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
                _view = _map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new CheckpointException(Path, $"The file cannot be mapped into memory: {e.Message}", e);
            }

            byte* view = null;
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref view);
            _start = view + _view.PointerOffset;
        }
    }

    [LibraryImport("libc")]
    private static partial int madvise(byte* address, nint length, int advice);

    public void Dispose()
    {
        lock (_mapping)
        {
            if (_isDisposed) return;

            _isDisposed = true;
            if (_start is not null) _view!.SafeMemoryMappedViewHandle.ReleasePointer();
            _view?.Dispose();
            _map?.Dispose();
            _handle.Dispose();
        }
    }
}
