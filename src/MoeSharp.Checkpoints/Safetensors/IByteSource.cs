namespace MoeSharp.Checkpoints;

/// <summary>Bytes at long offsets: a mapped file, or memory.</summary>
internal interface IByteSource
{
    /// <summary>The bytes from <paramref name="offset"/> on; the caller has checked that they are there.</summary>
    ReadOnlySpan<byte> Bytes(long offset, int count);

    /// <summary>Copies bytes, without leaving them mapped where that can be; the caller has checked that they are there.</summary>
    void Read(long offset, Span<byte> destination) => Bytes(offset, destination.Length).CopyTo(destination);
}

/// <summary>Files that are mapped into memory.</summary>
internal interface IMappedFiles
{
    /// <summary>Gives back the memory of pages that were touched; they can be read again.</summary>
    void Release();
}

/// <summary>Bytes that lie in memory.</summary>
internal sealed class MemoryBytes(ReadOnlyMemory<byte> memory) : IByteSource
{
    /// <inheritdoc/>
    public ReadOnlySpan<byte> Bytes(long offset, int count) => memory.Span.Slice((int)offset, count);
}
