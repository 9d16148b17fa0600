namespace MoeSharp.Cli;

/// <summary>The JSON of <c>moesharp trace show --json</c>; <c>HasMore</c> when the limit kept out some tokens.</summary>
internal sealed record TraceListing(int Version, string Source, bool Complete, IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<RoutingTraceLayer> Layers, IReadOnlyList<ListedEntry> Entries, bool HasMore)
{
    public static TraceListing Of(RoutingTraceReader trace, TraceSelection selection)
    {
        var selected = selection.Of(trace.ReadEntries()).ToArray();
        var header = trace.Header;

        return new(1, header.Source, trace.IsComplete, header.Metadata, header.Layers, [.. selected.Where(tokens => tokens.Count > 0).Select(ListedEntry.Of)], selected.Any(tokens => tokens.IsCut));
    }
}

/// <summary>An entry with its selected tokens.</summary>
internal sealed record ListedEntry(long Step, int Layer, int Sequences, int SequenceLength, IReadOnlyList<ListedToken> Tokens)
{
    public static ListedEntry Of(SelectedTokens selected)
    {
        var entry = selected.Entry;
        return new(entry.Step, entry.Layer, entry.Sequences, entry.SequenceLength, [.. Enumerable.Range(selected.From, selected.Count).Select(token => ListedToken.Of(entry, token))]);
    }
}

/// <summary>A token with its experts (-1: none), their weights and whether they dropped it.</summary>
internal sealed record ListedToken(int Token, IReadOnlyList<int> Experts, IReadOnlyList<float> Weights, IReadOnlyList<bool> Dropped)
{
    public static ListedToken Of(RoutingTraceEntry entry, int token) =>
        new(token, entry.ExpertsOf(token).ToArray(), entry.WeightsOf(token).ToArray(), [.. Enumerable.Range(0, entry.Width).Select(slot => entry.IsDropped(token, slot))]);
}

/// <summary>The JSON of <c>moesharp trace stats --json</c>.</summary>
internal sealed record TraceSummary(int Version, string Source, bool Complete, IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<SummedLayer> Layers)
{
    public static TraceSummary Of(RoutingTraceReader trace, IReadOnlyList<RoutingTraceStatistics> layers) =>
        new(1, trace.Header.Source, trace.IsComplete, trace.Header.Metadata, [.. layers.Select(SummedLayer.Of)]);
}

/// <summary>The statistics of a layer.</summary>
internal sealed record SummedLayer
{
    public required int Layer { get; init; }

    public required int ExpertCount { get; init; }

    public required int TopK { get; init; }

    public required long Entries { get; init; }

    public required long Tokens { get; init; }

    public required long Choices { get; init; }

    public required IReadOnlyList<long> Load { get; init; }

    public required double LargestOverMean { get; init; }

    public required double LoadVariation { get; init; }

    public required int DeadExperts { get; init; }

    public required long Dropped { get; init; }

    public required double DroppedShare { get; init; }

    public required double FirstChoiceWeight { get; init; }

    public required double LoadEntropy { get; init; }

    public static SummedLayer Of(RoutingTraceStatistics layer) => new()
    {
        Layer = layer.Layer.Layer,
        ExpertCount = layer.Layer.ExpertCount,
        TopK = layer.Layer.TopK,
        Entries = layer.Entries,
        Tokens = layer.Tokens,
        Choices = layer.Choices,
        Load = layer.Load,
        LargestOverMean = layer.LargestOverMean,
        LoadVariation = layer.LoadVariation,
        DeadExperts = layer.DeadExperts,
        Dropped = layer.Dropped,
        DroppedShare = layer.DroppedShare,
        FirstChoiceWeight = layer.FirstChoiceWeight,
        LoadEntropy = layer.LoadEntropy,
    };
}

/// <summary>The JSON of <c>moesharp trace diff --json</c>.</summary>
internal sealed record TraceDiff
{
    public int Version { get; } = 1;

    public required bool Equal { get; init; }

    public required long Entries { get; init; }

    public required long Tokens { get; init; }

    public required long TokensWithOtherExperts { get; init; }

    public required long SharedChoices { get; init; }

    public required long WeightsThatDiffer { get; init; }

    public required double LargestWeightDifference { get; init; }

    public required long DroppedInOneOnly { get; init; }

    public required RoutingTraceDifference? FirstDifference { get; init; }

    public required long MismatchCount { get; init; }

    public required IReadOnlyList<string> Mismatches { get; init; }

    public static TraceDiff Of(RoutingTraceComparison comparison) => new()
    {
        Equal = comparison.AreEqual,
        Entries = comparison.Entries,
        Tokens = comparison.Tokens,
        TokensWithOtherExperts = comparison.TokensWithOtherExperts,
        SharedChoices = comparison.SharedChoices,
        WeightsThatDiffer = comparison.WeightsThatDiffer,
        LargestWeightDifference = comparison.LargestWeightDifference,
        DroppedInOneOnly = comparison.DroppedInOneOnly,
        FirstDifference = comparison.First,
        MismatchCount = comparison.MismatchCount,
        Mismatches = comparison.Mismatches,
    };
}
