using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Bits per UTF-8 byte of a model on held-out text: what a perfect coder would need that uses the model's predictions.</summary>
internal sealed class HeldOutMeasure
{
    private const int Rows = 8;

    private readonly TokenSequence _tokens;
    private readonly int[] _byteCounts;
    private readonly int _length;

    /// <param name="tokens">The held-out tokens.</param>
    /// <param name="byteCounts">The bytes that each token id stands for; 0 for special tokens.</param>
    /// <param name="length">Tokens of context: the text is predicted in windows of this length.</param>
    /// <exception cref="MoeException">There are fewer than two held-out tokens.</exception>
    public HeldOutMeasure(TokenSequence tokens, int[] byteCounts, int length)
    {
        _tokens = tokens;
        _byteCounts = byteCounts;
        _length = length;
        if (tokens.Count < 2) throw new MoeException($"The held-out text has {tokens.Count} tokens; at least 2 are needed. Give more data or set a larger held-out share.");
    }

    /// <summary>Predicts the whole text, or about <paramref name="limit"/> tokens of it in windows that are spread evenly.</summary>
    /// <exception cref="OperationCanceledException">Cancelled between batches.</exception>
    public double BitsPerByte(DecoderModel model, long limit, CancellationToken cancellationToken)
    {
        using var ungraded = no_grad();
        long bytes = 0;
        double nats = 0;
        bool isTraining = model.training;
        model.eval();       // routers draw nothing
        try
        {
            foreach (var (starts, length) in Windows(limit).Chunk(Rows).SelectMany(SameLength))
            {
                cancellationToken.ThrowIfCancellationRequested();
                nats += Nats(model, starts, length, ref bytes);
            }
        }
        finally
        {
            model.train(isTraining);
        }

        return nats / Math.Log(2) / Math.Max(bytes, 1);
    }

    /// <summary>Where windows start, and how many tokens each predicts.</summary>
    private IEnumerable<(long Start, int Length)> Windows(long limit)
    {
        long count = _tokens.Count - 1;
        if (limit < count && count > _length)
        {
            long windows = Math.Max(limit / _length, 1);
            for (long i = 0; i < windows; i++) yield return (i * (count - _length) / Math.Max(windows - 1, 1), _length);
            yield break;
        }

        for (long start = 0; start < count; start += _length) yield return (start, (int)Math.Min(_length, count - start));
    }

    /// <summary>Windows of one batch; the last of a text is short and goes alone.</summary>
    private static IEnumerable<(long[] Starts, int Length)> SameLength((long Start, int Length)[] windows) =>
        windows.GroupBy(window => window.Length).Select(group => (group.Select(window => window.Start).ToArray(), group.Key));

    private double Nats(DecoderModel model, long[] starts, int length, ref long bytes)
    {
        using var scope = NewDisposeScope();

        var (inputs, targets) = (new long[starts.Length * length], new long[starts.Length * length]);
        foreach (var (row, start) in starts.Index())
        {
            _tokens.Read(start, inputs.AsSpan(row * length, length));
            _tokens.Read(start + 1, targets.AsSpan(row * length, length));
        }

        foreach (long token in targets) bytes += _byteCounts[token];
        var hidden = model.forward(tensor(inputs, [starts.Length, length])).Hidden;
        return TrainingStep.LanguageModelLoss(model, hidden, tensor(targets, [starts.Length, length])).item<float>() * (double)targets.Length;
    }
}
