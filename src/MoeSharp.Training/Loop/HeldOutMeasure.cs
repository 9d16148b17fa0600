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

    /// <summary>Predicts up to <paramref name="limit"/> tokens from the start of the text.</summary>
    /// <exception cref="OperationCanceledException">Cancelled between batches.</exception>
    public double BitsPerByte(DecoderModel model, long limit, CancellationToken cancellationToken)
    {
        using var ungraded = no_grad();
        long count = Math.Min(limit, _tokens.Count - 1), bytes = 0;
        double nats = 0;

        for (long start = 0; start < count;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // whole windows in batches, then what is left as one short row
            long left = count - start;
            var (rows, length) = left >= _length ? (Math.Min(Rows, left / _length), _length) : (1L, (int)left);
            nats += Nats(model, start, rows, length, ref bytes);
            start += rows * length;
        }

        return nats / Math.Log(2) / Math.Max(bytes, 1);
    }

    private double Nats(DecoderModel model, long start, long rows, long length, ref long bytes)
    {
        using var scope = NewDisposeScope();

        var tokens = new long[rows * length + 1];
        _tokens.Read(start, tokens);
        foreach (long token in tokens.AsSpan(1)) bytes += _byteCounts[token];
        var all = tensor(tokens);
        var inputs = all.narrow(0, 0, rows * length).view(rows, length);

        var hidden = model.forward(inputs).Hidden;
        return TrainingStep.LanguageModelLoss(model, hidden, all.narrow(0, 1, rows * length)).item<float>() * (double)(rows * length);
    }
}
