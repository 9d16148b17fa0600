using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>The keys and values that a model has computed for the tokens it has seen, so that generation computes only the new token.</summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly Layer[] _layers;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="layerCount">The number of decoder layers.</param>
    /// <param name="capacity">The most tokens it will hold; memory is taken as it fills, in doublings up to this.</param>
    internal KeyValueCache(int layerCount, long capacity)
    {
        _layers = [.. Enumerable.Range(0, layerCount).Select(_ => new Layer(capacity))];
        Capacity = capacity;
    }

    /// <summary>The most tokens the cache can hold.</summary>
    public long Capacity { get; }

    /// <summary>The tokens the cache holds.</summary>
    public long Length => _layers[0].Length;

    internal Layer this[int layer] => _layers[layer];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in _layers) layer.Dispose();
    }

    /// <summary>The keys and values of one decoder layer.</summary>
    internal sealed class Layer(long capacity) : IDisposable
    {
        private Tensor? _keys, _values;      // [B, groups, allocated, size]

        public long Length { get; private set; }

        /// <summary>Adds [B, groups, S, size] and returns everything so far [B, groups, Length, size].</summary>
        public (Tensor Keys, Tensor Values) Append(Tensor keys, Tensor values)
        {
            long count = keys.size(2);
            if (Length + count > capacity) throw new InvalidOperationException($"The cache holds {Length} of {capacity} tokens; {count} more do not fit.");

            _keys = Grow(_keys, keys, count);
            _values = Grow(_values, values, count);
            _keys.narrow(2, Length, count).copy_(keys);
            _values.narrow(2, Length, count).copy_(values);
            Length += count;
            return (_keys.narrow(2, 0, Length), _values.narrow(2, 0, Length));
        }

        public void Dispose()
        {
            _keys?.Dispose();
            _values?.Dispose();
        }

        private Tensor Grow(Tensor? stored, Tensor like, long count)
        {
            long needed = Length + count, allocated = stored?.size(2) ?? 0;
            if (needed <= allocated) return stored!;       // allocated is 0 where nothing is stored

            var grown = empty([like.size(0), like.size(1), Math.Min(capacity, Math.Max(needed, 2 * allocated)), like.size(3)], like.dtype, like.device);
            if (stored is not null)
            {
                grown.narrow(2, 0, Length).copy_(stored.narrow(2, 0, Length));
                stored.Dispose();
            }

            return grown.DetachFromDisposeScope();
        }
    }
}
