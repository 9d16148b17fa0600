namespace MoeSharp;

/// <summary>Counts those who use what may be closed at any time: it ends when it is closed and the last has left.</summary>
internal sealed class UseCount
{
    private int _users = 1;     // open counts as one
    private int _isClosed;

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

    /// <summary>Ends a use. True for the very last, which frees what was used.</summary>
    public bool Leave() => Interlocked.Decrement(ref _users) == 0;

    /// <summary>Closes, where nobody has; true when that was the last use, as of <see cref="Leave"/>.</summary>
    public bool Close() => Interlocked.Exchange(ref _isClosed, 1) == 0 && Leave();
}
