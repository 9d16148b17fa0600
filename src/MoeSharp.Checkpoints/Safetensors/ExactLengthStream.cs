namespace MoeSharp.Checkpoints;

/// <summary>The part of a file that one tensor fills: refuses a byte too many, and tells when bytes are missing.</summary>
internal sealed class ExactLengthStream(Stream inner, string tensor, long length, CancellationToken cancellationToken) : WriteOnlyStream
{
    private long _written;

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
}
