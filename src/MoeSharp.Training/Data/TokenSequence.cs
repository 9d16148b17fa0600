namespace MoeSharp.Training;

/// <summary>A long row of tokens that stays on disk. Thread-safe.</summary>
public sealed class TokenSequence
{
    private readonly TokenCacheFile _file;
    private readonly long _first;

    internal TokenSequence(TokenCacheFile file, long first, long count)
    {
        _file = file;
        _first = first;
        Count = count;
    }

    /// <summary>The number of tokens, end-of-text tokens included.</summary>
    public long Count { get; }

    /// <summary>Copies tokens.</summary>
    /// <param name="offset">The first token to copy.</param>
    /// <param name="destination">Receives as many tokens as it is long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The sequence ends before the destination does.</exception>
    /// <exception cref="ObjectDisposedException">The corpus was disposed.</exception>
    public void Read(long offset, Span<long> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Count - destination.Length);

        _file.Read(_first + offset, destination);
    }
}
