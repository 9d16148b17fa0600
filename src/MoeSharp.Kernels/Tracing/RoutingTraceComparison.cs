namespace MoeSharp;

/// <summary>
/// Two traces held against each other. Entries belong together when they have the same step and layer and are equally many entries of
/// these into their trace, so that the order in which layers or threads wrote does not matter. Nor does the order of a token's experts.
/// </summary>
public sealed record RoutingTraceComparison
{
    /// <summary>The entries that both traces have in the same shape.</summary>
    public long Entries { get; init; }

    /// <summary>The tokens in them.</summary>
    public long Tokens { get; init; }

    /// <summary>The tokens that go to other experts.</summary>
    public long TokensWithOtherExperts { get; init; }

    /// <summary>The choices that both traces made.</summary>
    public long SharedChoices { get; init; }

    /// <summary>The shared choices whose weights differ.</summary>
    public long WeightsThatDiffer { get; init; }

    /// <summary>The most by which the weights of a shared choice differ; infinite where only one is a number.</summary>
    public double LargestWeightDifference { get; init; }

    /// <summary>The shared choices that were dropped in one trace only.</summary>
    public long DroppedInOneOnly { get; init; }

    /// <summary>The difference between tokens that comes first by step, then by layer, entry and token; null when no token differs.</summary>
    public RoutingTraceDifference? First { get; init; }

    /// <summary>What the traces do not share, a line each: layers, entries, shapes. The first hundred are kept.</summary>
    public IReadOnlyList<string> Mismatches { get; init; } = [];

    /// <summary>All mismatches, listed or not.</summary>
    public long MismatchCount { get; init; }

    /// <summary>Whether both traces hold the same decisions.</summary>
    public bool AreEqual => MismatchCount == 0 && First is null;

    /// <summary>Compares two traces, reading both at the same pace.</summary>
    /// <param name="first">A trace.</param>
    /// <param name="second">Another.</param>
    /// <exception cref="MoeException">A record of either is damaged or cut off.</exception>
    public static RoutingTraceComparison Of(RoutingTraceReader first, RoutingTraceReader second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);

        return Of(first.Header, first.ReadEntries(), second.Header, second.ReadEntries());
    }

    /// <summary>Compares the entries of two traces, each read once and only entries that wait for their counterpart kept.</summary>
    /// <param name="firstHeader">What the first trace is of.</param>
    /// <param name="first">Its entries.</param>
    /// <param name="secondHeader">What the second trace is of.</param>
    /// <param name="second">Its entries.</param>
    public static RoutingTraceComparison Of(RoutingTraceHeader firstHeader, IEnumerable<RoutingTraceEntry> first, RoutingTraceHeader secondHeader, IEnumerable<RoutingTraceEntry> second)
    {
        ArgumentNullException.ThrowIfNull(firstHeader);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(secondHeader);
        ArgumentNullException.ThrowIfNull(second);

        var comparer = new RoutingTraceComparer();
        comparer.CompareHeaders(firstHeader, secondHeader);
        comparer.CompareEntries(first, second);
        return comparer.ToComparison();
    }
}

/// <summary>A token that is routed differently in two traces.</summary>
/// <param name="Step">The step.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Entry">Which entry of this step and layer, from 0.</param>
/// <param name="Token">The token in the entry.</param>
/// <param name="First">What the first trace says.</param>
/// <param name="Second">What the second trace says.</param>
public sealed record RoutingTraceDifference(long Step, int Layer, int Entry, int Token, RoutingTraceChoice First, RoutingTraceChoice Second);

/// <summary>Where a token goes.</summary>
/// <param name="Experts">Its experts, [width]; -1 where a slot is not used.</param>
/// <param name="Weights">Their weights, [width].</param>
/// <param name="Dropped">Whether they were dropped, [width].</param>
public sealed record RoutingTraceChoice(IReadOnlyList<int> Experts, IReadOnlyList<float> Weights, IReadOnlyList<bool> Dropped)
{
    internal static RoutingTraceChoice Of(RoutingTraceEntry entry, int token) =>
        new(entry.ExpertsOf(token).ToArray(), entry.WeightsOf(token).ToArray(), [.. Enumerable.Range(0, entry.Width).Select(slot => entry.IsDropped(token, slot))]);
}
