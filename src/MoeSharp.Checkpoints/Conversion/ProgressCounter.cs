namespace MoeSharp.Checkpoints;

/// <summary>Counts the bytes of a conversion and reports them, about a thousand times in all.</summary>
/// <param name="total">All bytes.</param>
/// <param name="progress">Hears of them; null for nobody.</param>
/// <param name="release">Called now and then, to give back memory of what was read.</param>
internal sealed class ProgressCounter(long total, IProgress<ConversionProgress>? progress, Action release)
{
    private const int Reports = 1000;
    private const long ReleaseBytes = 1 << 26;

    private long _done, _next, _released;

    public long Total => total;

    /// <summary>Counts bytes of a tensor.</summary>
    public void Add(string tensor, long bytes)
    {
        _done += bytes;
        if (_done - _released >= ReleaseBytes)
        {
            release();
            _released = _done;
        }

        if (progress is null || _done < _next && _done < total) return;

        _next = _done + total / Reports;
        progress.Report(new(_done, total, tensor));
    }

    /// <summary>Counts a file that is there already; one.</summary>
    public int Skip(IReadOnlyList<TensorToWrite> tensors)
    {
        foreach (var tensor in tensors) Add(tensor.Name, ConversionPlan.ByteCount(tensor));
        return 1;
    }

    /// <summary>The same tensors, whose bytes are counted as they are written.</summary>
    public IReadOnlyList<TensorToWrite> Count(IReadOnlyList<TensorToWrite> tensors) =>
        [.. tensors.Select(tensor => tensor with { WriteBytes = stream => tensor.WriteBytes(new CountingStream(stream, bytes => Add(tensor.Name, bytes))) })];

    private sealed class CountingStream(Stream inner, Action<int> count) : WriteOnlyStream
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            inner.Write(buffer);
            count(buffer.Length);
        }
    }
}
