using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// Routes as a <see cref="RoutingTraceReader">routing trace</see> says: for each recorded call of a layer there is a
/// <see cref="RoutingCall"/> that takes its experts again, while the weights are computed anew, with gradient. Choices that a capacity
/// dropped are taken as selected, and dropped again by the same rule.
/// </summary>
/// <remarks>
/// The same weights and hidden states then give the same bits; with jitter or <see cref="Selection.SparseMixer"/> in training, only at
/// the same <see cref="RoutingCall.Step"/>, which no trace holds. A trace that is read from a file is read from it at every call.
/// </remarks>
public sealed class RoutingReplay : IDisposable
{
    private readonly Dictionary<(long Step, int Layer), List<RoutingTracePlace>> _places = [];
    private readonly RoutingTraceReader? _reader;
    private readonly IReadOnlyList<RoutingTraceEntry> _entries = [];
    private readonly string _name;

    /// <summary>Replays entries that are in memory.</summary>
    /// <param name="header">The layers they are of.</param>
    /// <param name="entries">The entries; those of one step and layer are told apart by their order.</param>
    /// <exception cref="ArgumentException">An entry is of a layer that the header does not list, or has an expert that the layer lacks.</exception>
    public RoutingReplay(RoutingTraceHeader header, IEnumerable<RoutingTraceEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(header);
        ArgumentNullException.ThrowIfNull(entries);
        (Header, _name, _entries) = (header, $"the trace of '{header.Source}'", [.. entries]);
        foreach (var (number, entry) in _entries.Index())
        {
            string? fault = LayerOf(entry.Layer) is { } layer ? entry.FindFault(layer.ExpertCount) : $"It is of layer {entry.Layer}; the header lists {Text(Layers)}.";
            if (fault is not null) throw new ArgumentException($"Entry {number} cannot be replayed. {fault}", nameof(entries));

            Add(entry, new(number, number));
        }
    }

    private RoutingReplay(RoutingTraceReader reader)
    {
        (_reader, Header, _name) = (reader, reader.Header, $"the trace {reader.FilePath}");
        foreach (var (place, entry) in reader.ReadPlaces()) Add(entry, place);
    }

    /// <summary>What the trace is of.</summary>
    public RoutingTraceHeader Header { get; }

    /// <summary>The steps that the trace has, rising.</summary>
    public IReadOnlyList<long> Steps => [.. _places.Keys.Select(key => key.Step).Distinct().Order()];

    private IEnumerable<int> Layers => Header.Layers.Select(layer => layer.Layer).Order();

    /// <summary>Opens a trace, reads it once, and checks it on the way.</summary>
    /// <param name="path">The file.</param>
    /// <param name="allowPartial">Whether it may have been cut off: then its whole records are replayed.</param>
    /// <exception cref="MoeException">The file cannot be read, is no trace, or is damaged.</exception>
    public static RoutingReplay Open(string path, bool allowPartial = false)
    {
        var reader = RoutingTraceReader.Open(path, allowPartial);
        try
        {
            return new(reader);
        }
        catch
        {
            reader.Dispose();
            throw;
        }
    }

    /// <summary>How many entries a layer has in a step: one for each micro-batch of a training step. 0 where the trace has none.</summary>
    /// <param name="step">The step.</param>
    /// <param name="layer">The layer's index in its model.</param>
    public int Count(long step, int layer) => _places.TryGetValue((step, layer), out var places) ? places.Count : 0;

    /// <summary>What a layer gets to route as it did in a recorded call, on hidden states of the same number of sequences and tokens.</summary>
    /// <param name="step">The step of the trace.</param>
    /// <param name="layer">The layer's index in its model.</param>
    /// <param name="others">What the call gets besides: masks, say. Null for nothing.</param>
    /// <param name="entry">Which of the step's entries of the layer, from 0.</param>
    /// <returns>The call; its <see cref="RoutingCall.Experts"/> belong to the caller's dispose scope. A layer that it does not fit refuses it with a <see cref="MoeException"/>.</returns>
    /// <exception cref="MoeException">The trace has no such entry; the message says what it has.</exception>
    /// <exception cref="ArgumentException"><paramref name="others"/> has experts too.</exception>
    public RoutingCall Call(long step, int layer, RoutingCall? others = null, int entry = 0)
    {
        if (others?.Experts is not null) throw new ArgumentException("The other parts of the call have experts too; leave them out, or replay no trace.", nameof(others));
        if (entry < 0 || entry >= Count(step, layer)) throw Missing(step, layer, entry);

        var found = Read(_places[(step, layer)][entry]);
        var experts = Experts(found);
        var replayed = new ReplayedCall(experts, _name, LayerOf(layer)!, step, found.Sequences, found.SequenceLength);      // an entry's layer is in the header
        return (others ?? RoutingCall.Plain) with { Experts = experts, Replayed = replayed };
    }

    /// <summary>What all layers of a model get, first to last, for its forward pass over the recorded tokens.</summary>
    /// <param name="step">The step of the trace.</param>
    /// <param name="entry">Which of the step's passes, from 0: the micro-batch of a training step.</param>
    /// <param name="others">What the calls get besides, one for each layer of the trace; null for nothing.</param>
    /// <returns>A call for each layer of the trace. A model whose MoE layers are others refuses them with a <see cref="MoeException"/>.</returns>
    /// <exception cref="MoeException">A layer has no such entry.</exception>
    /// <exception cref="ArgumentException"><paramref name="others"/> are of another number.</exception>
    public IReadOnlyList<RoutingCall> Calls(long step, int entry = 0, IReadOnlyList<RoutingCall>? others = null)
    {
        if (others is not null && others.Count != Header.Layers.Count)
            throw new ArgumentException($"There are {others.Count} other calls; expected {Header.Layers.Count}, one for each layer of {_name}.", nameof(others));

        return [.. Layers.Select((layer, index) => Call(step, layer, others?[index], entry))];
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _reader?.Dispose();

    private static Tensor Experts(RoutingTraceEntry entry) => TensorValues.Indices(entry.Experts.Span, [entry.Sequences, entry.SequenceLength, entry.Width]);

    private void Add(RoutingTraceEntry entry, RoutingTracePlace place)
    {
        if (!_places.TryGetValue((entry.Step, entry.Layer), out var places)) _places[(entry.Step, entry.Layer)] = places = [];
        places.Add(place);
    }

    private RoutingTraceEntry Read(RoutingTracePlace place) => _reader is null ? _entries[(int)place.Record] : _reader.ReadEntry(place);

    private RoutingTraceLayer? LayerOf(int layer) => Header.Layers.FirstOrDefault(listed => listed.Layer == layer);

    private MoeException Missing(long step, int layer, int entry)
    {
        string has = LayerOf(layer) is null ? $"it records the layers {Text(Layers)}"
            : Steps is not { Count: > 0 } steps ? "it has no entry at all"
            : Count(step, layer) is > 0 and var count ? $"it has {count} of that step and layer, counted from 0"
            : $"its steps are between {steps[0]} and {steps[^1]}";
        return new($"There is no entry {entry} of step {step} and layer {layer} in {_name}: {has}.");
    }

    private static string Text(IEnumerable<int> layers) => string.Join(", ", layers);
}
