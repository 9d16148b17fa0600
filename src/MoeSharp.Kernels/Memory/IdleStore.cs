namespace MoeSharp;

/// <summary>What waits to be used again, and is freed when nobody has asked for it in a minute or two.</summary>
/// <remarks>Of the whole process: it is never disposed.</remarks>
#pragma warning disable CA1001
internal sealed class IdleStore<T>
#pragma warning restore CA1001
    where T : class, IDisposable
{
    private const long Milliseconds = 60_000;

    private readonly List<(T Item, long Since)> _items = [];      // the longest idle first
    private readonly Timer _trimming;
    private bool _isWaiting;

    public IdleStore() => _trimming = new(_ => Trim(Environment.TickCount64 - Milliseconds));

    /// <summary>The sum of a number of each.</summary>
    public long Sum(Func<T, long> of)
    {
        lock (_items) return _items.Sum(idle => of(idle.Item));
    }

    /// <summary>Takes what came last, whose memory is most likely in a cache; null where there is nothing.</summary>
    public T? TakeLast()
    {
        lock (_items) return _items.Count == 0 ? null : TakeAt(_items.Count - 1);
    }

    /// <summary>Takes the smallest of those whose size lies within bounds; null where there is none.</summary>
    public T? TakeSmallest(Func<T, long> sizeOf, long least, long most)
    {
        lock (_items)
        {
            int best = -1;
            long bestSize = long.MaxValue;
            for (int i = 0; i < _items.Count; i++)
            {
                long size = sizeOf(_items[i].Item);
                if (size >= least && size <= most && size < bestSize) (best, bestSize) = (i, size);
            }

            return best < 0 ? null : TakeAt(best);
        }
    }

    /// <summary>Keeps what is used no longer.</summary>
    public void Add(T item)
    {
        lock (_items)
        {
            _items.Add((item, Environment.TickCount64));
            if (_isWaiting) return;

            _isWaiting = true;
            _trimming.Change(Milliseconds, Timeout.Infinite);
        }
    }

    /// <summary>Frees what has been idle since before <paramref name="time"/>.</summary>
    public void Trim(long time)
    {
        lock (_items)
        {
            int old = _items.FindIndex(idle => idle.Since > time);
            if (old < 0) old = _items.Count;
            for (int i = 0; i < old; i++) _items[i].Item.Dispose();
            _items.RemoveRange(0, old);

            _isWaiting = _items.Count > 0;
            if (_isWaiting) _trimming.Change(Milliseconds, Timeout.Infinite);
        }
    }

    private T TakeAt(int index)
    {
        var item = _items[index].Item;
        _items.RemoveAt(index);
        return item;
    }
}
