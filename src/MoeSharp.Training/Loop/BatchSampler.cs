using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// Cuts a token sequence into windows and deals them in an order that is shuffled anew each epoch. A batch is a function of the seed and
/// of its number alone, so a resumed run continues exactly where it stopped.
/// </summary>
internal sealed class BatchSampler
{
    private readonly TokenSequence _tokens;
    private readonly int _batchSize, _length, _seed;
    private readonly long _windows;
    private (long Epoch, int Offset, int[] Order) _shuffled = (-1, 0, []);

    /// <exception cref="MoeException">There are fewer tokens than one window needs.</exception>
    public BatchSampler(TokenSequence tokens, int batchSize, int length, int seed)
    {
        _tokens = tokens;
        _batchSize = batchSize;
        _length = length;
        _seed = seed;
        _windows = (tokens.Count - length) / length;      // an epoch starts at an offset below one window, and the last target needs one more token
        if (_windows < 1)
            throw new MoeException($"The training text has {tokens.Count} tokens; at least {2 * length} are needed for sequences of {length}. Give more data or set a smaller sequence length.");
    }

    /// <summary>Inputs and targets [B, S], int64, of micro-batch <paramref name="number"/>, counted from 0; targets are one token ahead.</summary>
    public (Tensor Inputs, Tensor Targets) Batch(long number)
    {
        using var scope = NewDisposeScope();

        var rows = new long[_batchSize * (_length + 1)];
        for (int row = 0; row < _batchSize; row++)
        {
            long start = Start(number * _batchSize + row);
            _tokens.Read(start, rows.AsSpan(row * (_length + 1), _length + 1));
        }

        var batch = tensor(rows, [_batchSize, _length + 1]);
        return (batch.narrow(1, 0, _length).contiguous().MoveToOuterDisposeScope(), batch.narrow(1, 1, _length).contiguous().MoveToOuterDisposeScope());
    }

    /// <summary>Where window <paramref name="number"/> of all epochs begins.</summary>
    private long Start(long number)
    {
        long epoch = number / _windows;
        if (epoch != _shuffled.Epoch) _shuffled = Shuffle(epoch);
        return _shuffled.Offset + (long)_shuffled.Order[number % _windows] * _length;
    }

    private (long Epoch, int Offset, int[] Order) Shuffle(long epoch)
    {
        var random = new Random(unchecked(_seed * 1_000_003 + (int)epoch));
        int offset = random.Next(_length);
        int[] order = [.. Enumerable.Range(0, checked((int)_windows))];
        random.Shuffle(order);
        return (epoch, offset, order);
    }
}
