namespace MoeSharp.Cli;

/// <summary>Tokens by their place in an entry, both ends included.</summary>
internal readonly record struct TokenRange(int From, int To);

/// <summary>What <c>moesharp trace show</c> shows of a trace.</summary>
internal sealed record TraceSelection
{
    /// <summary>The step to show; null for all.</summary>
    public int? Step { get; init; }

    /// <summary>The layer to show; null for all.</summary>
    public int? Layer { get; init; }

    /// <summary>The tokens of each entry to show; null for all.</summary>
    public TokenRange? Tokens { get; init; }

    /// <summary>The most tokens to show; 0 for all.</summary>
    public required int Limit { get; init; }

    /// <summary>Fails when the trace does not have the layer or the step at all.</summary>
    public void Check(RoutingTraceReader trace)
    {
        if (Layer is { } layer && trace.Header.Layers.All(known => known.Layer != layer))
        {
            throw new UsageException($"--layer is {layer}; the trace has layers {string.Join(", ", trace.Header.Layers.Select(known => known.Layer))}.");
        }

        if (Step is { } step && trace.ReadEntries().All(entry => entry.Step != step)) throw new UsageException($"--step is {step}; the trace has {Steps(trace)}.");
    }

    private static string Steps(RoutingTraceReader trace)
    {
        long[] steps = [.. trace.ReadEntries().Select(entry => entry.Step).Distinct().Order()];
        return steps is [var first, .., var last] ? $"{steps.Length} steps, from {first} to {last}" : steps is [var only] ? $"step {only} alone" : "no steps";
    }

    /// <summary>The selected tokens of each entry, and at last whether the limit left some out.</summary>
    public IEnumerable<SelectedTokens> Of(IEnumerable<RoutingTraceEntry> entries)
    {
        var left = Limit == 0 ? long.MaxValue : Limit;
        foreach (var entry in entries.Where(entry => (Step is null || entry.Step == Step) && (Layer is null || entry.Layer == Layer)))
        {
            var from = Math.Min(Tokens?.From ?? 0, entry.Tokens);
            var count = Math.Max(0, (int)Math.Min((long)(Tokens?.To ?? int.MaxValue) + 1, entry.Tokens) - from);
            if (count == 0) continue;

            var shown = (int)Math.Min(count, left);
            yield return new(entry, from, shown, IsCut: shown < count);
            if (shown < count) yield break;

            left -= shown;
        }
    }
}

/// <summary>Tokens of an entry; <c>IsCut</c> when the limit kept out more, perhaps all of them.</summary>
internal sealed record SelectedTokens(RoutingTraceEntry Entry, int From, int Count, bool IsCut);
