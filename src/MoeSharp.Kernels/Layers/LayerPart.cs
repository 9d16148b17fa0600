namespace MoeSharp;

/// <summary>What a layer is loaded with before it can run.</summary>
internal interface ILayerPart
{
    /// <summary>What is missing, as a clause of a message; null when all of it is there.</summary>
    string? Missing { get; }

    /// <summary>Throws unless all parts are there.</summary>
    /// <exception cref="InvalidOperationException">Some are missing; the message lists them.</exception>
    static void Require(ILayerPart[] parts)
    {
        foreach (var part in parts)
        {
            if (part.Missing is not null) throw Incomplete(parts);
        }
    }

    private static InvalidOperationException Incomplete(ILayerPart[] parts) =>
        new($"The layer is not loaded: {string.Join("; ", parts.Select(part => part.Missing).OfType<string>())}. Load what is missing first.");
}

/// <summary>A matrix or a vector of the router: whether the options have it, and whether it is there.</summary>
/// <param name="name">As messages call it.</param>
/// <param name="length">The number of its values.</param>
/// <param name="meaning">What that number is.</param>
/// <param name="option">The option that a layer has it by.</param>
/// <param name="isUsed">Whether this one has.</param>
internal class LayerPart(string name, long length, string meaning, string option, bool isUsed) : ILayerPart
{
    private volatile bool _isLoaded;

    /// <inheritdoc/>
    public string? Missing => isUsed && !_isLoaded ? $"the router has no {name} yet" : null;

    /// <summary>Throws unless the layer has this part, with so many values.</summary>
    /// <exception cref="InvalidOperationException">The options do not have it.</exception>
    /// <exception cref="ArgumentException">There is another number of values.</exception>
    public void Check(int count, string parameter)
    {
        if (!isUsed) throw new InvalidOperationException($"The options of this layer say that its router has no {name}; set {option}.");
        LayerCheck.Length(count, length, parameter, meaning);
    }

    /// <summary>Says that it is there.</summary>
    public void SetLoaded() => _isLoaded = true;
}

/// <summary>A vector or a table that calls read as it was loaded.</summary>
/// <inheritdoc/>
internal sealed class LayerValues<T>(string name, long length, string meaning, string option, bool isUsed) : LayerPart(name, length, meaning, option, isUsed)
    where T : unmanaged
{
    private T[] _values = [];

    /// <summary>The values; none before they are loaded.</summary>
    public ReadOnlySpan<T> Values => Volatile.Read(ref _values);

    /// <summary>Takes a copy, which calls from now on read.</summary>
    public void Load(ReadOnlySpan<T> values, string parameter)
    {
        Check(values.Length, parameter);
        Volatile.Write(ref _values, values.ToArray());
        SetLoaded();
    }
}
