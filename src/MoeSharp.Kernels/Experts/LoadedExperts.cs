namespace MoeSharp;

/// <summary>Which weights, or which biases, of a layer's experts are there. Experts may be loaded at once, each by one call at a time.</summary>
/// <param name="count">The number of experts.</param>
/// <param name="part">What is loaded, as messages call it.</param>
internal sealed class LoadedExperts(int count, string part) : ILayerPart
{
    private const int Loading = 1, Loaded = 2, MostListed = 16;

    private readonly int[] _states = new int[count];        // 0 for missing

    /// <summary>Begins to load an expert, which is missing until <see cref="End"/>.</summary>
    /// <exception cref="InvalidOperationException">Another call is loading it.</exception>
    public void Begin(int expert)
    {
        if (Interlocked.Exchange(ref _states[expert], Loading) == Loading)
            throw new InvalidOperationException($"Another call is loading the {part} of expert {expert}; load an expert from one thread at a time.");
    }

    /// <summary>Says that an expert is there.</summary>
    public void End(int expert) => Volatile.Write(ref _states[expert], Loaded);

    /// <summary>Whether every expert is there.</summary>
    public bool AreAll
    {
        get
        {
            bool areAll = !_states.AsSpan().ContainsAnyExcept(Loaded);
            Interlocked.MemoryBarrier();        // what was loaded is read after its state
            return areAll;
        }
    }

    /// <inheritdoc/>
    public string? Missing => AreAll ? null : ListMissing();

    private string ListMissing()
    {
        int[] missing = [.. Enumerable.Range(0, count).Where(expert => Volatile.Read(ref _states[expert]) != Loaded)];
        string more = missing.Length > MostListed ? $" and {missing.Length - MostListed} more" : "";
        return $"{missing.Length} of {count} experts have no {part} yet: {string.Join(", ", missing.Take(MostListed))}{more}";
    }
}
