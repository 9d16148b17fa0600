namespace MoeSharp;

/// <summary>How a layer used its experts over a whole trace. The load counts choices, whether they were dropped or not.</summary>
public sealed record RoutingTraceStatistics
{
    /// <summary>The layer.</summary>
    public required RoutingTraceLayer Layer { get; init; }

    /// <summary>The entries of the layer.</summary>
    public required long Entries { get; init; }

    /// <summary>The tokens in them.</summary>
    public required long Tokens { get; init; }

    /// <summary>The choices of each expert, [experts].</summary>
    public required IReadOnlyList<long> Load { get; init; }

    /// <summary>The choices that were dropped because their expert was full.</summary>
    public required long Dropped { get; init; }

    /// <summary>The mean weight of the first choice over the tokens that have one; NaN without any.</summary>
    public required double FirstChoiceWeight { get; init; }

    /// <summary>All choices: the slots in use.</summary>
    public long Choices => Load.Sum();

    /// <summary>The load of the fullest expert over the mean load: 1 when even; NaN without choices.</summary>
    public double LargestOverMean => Load.Max() / MeanLoad;

    /// <summary>The standard deviation of the load over its mean: 0 when even; NaN without choices.</summary>
    public double LoadVariation
    {
        get
        {
            double mean = MeanLoad;
            return Math.Sqrt(Load.Sum(count => (count - mean) * (count - mean)) / Load.Count) / mean;
        }
    }

    /// <summary>The experts that no token chose.</summary>
    public int DeadExperts => Load.Count(count => count == 0);

    /// <summary>The dropped share of the choices, 0..1; NaN without choices.</summary>
    public double DroppedShare => Dropped / (double)Choices;

    /// <summary>The entropy of the load's distribution in nats: ln(experts) when even, 0 when one expert has all; NaN without choices.</summary>
    public double LoadEntropy
    {
        get
        {
            double all = Choices;
            return all == 0 ? double.NaN : Load.Where(count => count > 0).Sum(count => -count / all * Math.Log(count / all));
        }
    }

    private double MeanLoad => Choices / (double)Load.Count;

    /// <summary>Sums up a trace.</summary>
    /// <param name="header">What the trace is of.</param>
    /// <param name="entries">Its entries, read once.</param>
    /// <returns>The statistics of each layer, in the order of the header.</returns>
    /// <exception cref="ArgumentException">An entry is of a layer that the header does not list.</exception>
    public static IReadOnlyList<RoutingTraceStatistics> Of(RoutingTraceHeader header, IEnumerable<RoutingTraceEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(header);
        ArgumentNullException.ThrowIfNull(entries);

        var sums = header.Layers.ToDictionary(layer => layer.Layer, layer => new Sums(layer));
        foreach (var entry in entries)
        {
            if (!sums.TryGetValue(entry.Layer, out var sum)) throw new ArgumentException($"An entry is of layer {entry.Layer}, which the header does not list.", nameof(entries));

            sum.Add(entry);
        }

        return [.. header.Layers.Select(layer => sums[layer.Layer].ToStatistics())];
    }

    private sealed class Sums(RoutingTraceLayer layer)
    {
        private readonly long[] _load = new long[layer.ExpertCount];
        private double _firstWeights;
        private long _firstChoices;
        private long _entries;
        private long _tokens;
        private long _dropped;

        public void Add(RoutingTraceEntry entry)
        {
            _entries++;
            _tokens += entry.Tokens;
            for (int token = 0; token < entry.Tokens; token++) Add(entry, token);
        }

        private void Add(RoutingTraceEntry entry, int token)
        {
            var experts = entry.ExpertsOf(token);
            int first = experts.IndexOfAnyExcept(RoutingTraceEntry.None);
            if (first < 0) return;

            _firstWeights += entry.WeightsOf(token)[first];
            _firstChoices++;
            for (int slot = first; slot < experts.Length; slot++)
            {
                if (experts[slot] == RoutingTraceEntry.None) continue;

                _load[experts[slot]]++;
                if (entry.IsDropped(token, slot)) _dropped++;
            }
        }

        public RoutingTraceStatistics ToStatistics() => new()
        {
            Layer = layer,
            Entries = _entries,
            Tokens = _tokens,
            Load = _load,
            Dropped = _dropped,
            FirstChoiceWeight = _firstWeights / _firstChoices,
        };
    }
}
