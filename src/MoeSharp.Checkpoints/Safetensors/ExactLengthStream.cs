namespace MoeSharp.Checkpoints;

/// <summary>The part of a file that one tensor fills: refuses a byte too many, and tells when bytes are missing.</summary>
internal sealed class ExactLengthStream(Stream inner, string tensor, long length, CancellationToken cancellationToken) : Stream
{
    private long _written;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public void CheckComplete()
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_written != length)
        {
            throw new InvalidOperationException($"Tensor '{tensor}' wrote {_written} bytes; its type and shape take {length}.");
        }
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (buffer.Length > length - _written)
        {
            throw new InvalidOperationException($"Tensor '{tensor}' wrote {_written + buffer.Length} bytes or more; its type and shape take {length}.");
        }

        inner.Write(buffer);
        _written += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // The file is flushed once, when it is complete.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
