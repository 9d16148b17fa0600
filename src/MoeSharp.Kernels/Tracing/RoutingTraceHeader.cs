namespace MoeSharp;

/// <summary>What a routing trace is of: the run, and the layers whose decisions it holds.</summary>
/// <param name="Source">Where the decisions come from, for people: "train runs/default".</param>
/// <param name="Layers">The layers that were recorded, each once.</param>
public sealed record RoutingTraceHeader(string Source, IReadOnlyList<RoutingTraceLayer> Layers)
{
    /// <summary>Anything else worth knowing of the run, by name; empty by default.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>What is wrong with the layers; null when nothing is.</summary>
    internal string? FindFault()
    {
        var seen = new HashSet<int>();
        foreach (var layer in Layers)
        {
            if (layer.FindFault() is { } fault) return fault;
            if (!seen.Add(layer.Layer)) return $"Layer {layer.Layer} is listed twice; list each layer once.";
        }

        return null;
    }
}

/// <summary>A layer of a routing trace.</summary>
/// <param name="Layer">The index of the layer in its model, 0 or more.</param>
/// <param name="ExpertCount">The number of routed experts, 1 to 65535.</param>
/// <param name="TopK">The experts that the router chooses per token, 1 to <paramref name="ExpertCount"/>.</param>
public sealed record RoutingTraceLayer(int Layer, int ExpertCount, int TopK)
{
    /// <summary>The most experts that a trace can tell apart.</summary>
    internal const int MostExperts = ushort.MaxValue; // the number above the last expert means none

    internal string? FindFault() => this switch
    {
        { Layer: < 0 } => $"Layer is {Layer}; set it to 0 or more.",
        { ExpertCount: < 1 or > MostExperts } => $"Layer {Layer} has {ExpertCount} experts; a trace holds 1..{MostExperts}.",
        _ when TopK < 1 || TopK > ExpertCount => $"Layer {Layer} has a TopK of {TopK} but {ExpertCount} experts; set it to 1..{ExpertCount}.",
        _ => null,
    };
}
