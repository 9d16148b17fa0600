namespace MoeSharp;

/// <summary>
/// The packed weights of a layer between its calls without gradient. The first call of new weights only remembers them; from the second on
/// panels are kept as they are packed, and later calls read each once, at the speed of memory.
/// </summary>
internal sealed class KeptWeights
{
    private readonly Lock _lock = new();
    private WeightsKey? _seen;
    private PanelStore? _store;
    private bool _hasNoRoom;

    /// <summary>The store of the weights of <paramref name="key"/>, entered; null where there is none yet, or no memory.</summary>
    public PanelStore? TryEnter(WeightsKey key, ExpertShape shape, int experts)
    {
        lock (_lock)
        {
            if (_seen != key)
            {
                Forget();
                _seen = key;
                return null;
            }

            if (_hasNoRoom) return null;
            try
            {
                _store ??= new PanelStore(shape, experts);
            }
            catch (InsufficientMemoryException)     // as without keeping then
            {
                _hasNoRoom = true;
                return null;
            }

            return _store.TryEnter() ? _store : null;
        }
    }

    /// <summary>Frees what is kept.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _store?.Dispose();
            (_seen, _store, _hasNoRoom) = (null, null, false);
        }
    }
}
