namespace MoeSharp;

/// <summary>Counts those who use what may be closed at any time: it is freed when it is closed and the last has left.</summary>
/// <param name="free">Frees it, once, on the thread that closes or that leaves last.</param>
internal sealed class UseCount(Action free)
{
    private int _users = 1;     // open counts as one
    private int _isClosed;

    /// <summary>Begins a use that ends with the disposal of what is returned.</summary>
    /// <param name="owner">What is used, for the message.</param>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public Use Enter(object owner)
    {
        ObjectDisposedException.ThrowIf(!TryEnter(), owner);
        return new(this);
    }

    /// <summary>Begins a use; false once closed.</summary>
    public bool TryEnter()
    {
        while (true)
        {
            int users = Volatile.Read(ref _users);
            if (users == 0 || Volatile.Read(ref _isClosed) != 0) return false;
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users) return true;
        }
    }

    /// <summary>Ends a use.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0) free();
    }

    /// <summary>Closes, where nobody has; it does not wait for uses to end.</summary>
    public void Close()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0) Leave();
    }

    /// <summary>A use that has begun.</summary>
    public readonly ref struct Use(UseCount uses)
    {
        /// <summary>Ends it.</summary>
        public void Dispose() => uses.Leave();
    }
}
