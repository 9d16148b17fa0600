namespace MoeSharp.Cli;

/// <summary>Routing traces for people.</summary>
internal sealed class TraceView(Surroundings surroundings)
{
    public void WriteEntries(RoutingTraceReader trace, TraceSelection selection)
    {
        WriteSource(trace);
        var (isEmpty, isCut) = (true, false);
        foreach (var selected in selection.Of(trace.ReadEntries()))
        {
            (isEmpty, isCut) = (false, selected.IsCut);
            if (selected.Count > 0) WriteEntry(selected);
        }

        if (isEmpty) surroundings.Error.WriteLine("No token of the trace is selected.");
        if (isCut) surroundings.Error.WriteLine($"These are the first {selection.Limit} tokens; --limit N shows more, --limit 0 all.");
    }

    public void WriteStatistics(RoutingTraceReader trace, IReadOnlyList<RoutingTraceStatistics> layers, string? plot)
    {
        WriteSource(trace);
        string[] columns = ["layer", "experts", "entries", "tokens", "max/mean", "variation", "dead", "dropped", "first weight", "entropy"];
        var table = new TableWriter(columns) { Numbers = columns.ToHashSet() };
        foreach (var layer in layers) table.Add(Row(layer));

        surroundings.Output.WriteLine();
        table.Write(surroundings);
        if (plot is not null) surroundings.Output.WriteLine($"plot written to {plot}");
    }

    public void WriteComparison(RoutingTraceComparison comparison)
    {
        var output = surroundings.Output;
        output.WriteLine($"{(comparison.AreEqual ? "equal" : "DIFFERENT")}: {Quantity.Counted(comparison.Entries, "entry", "entries")} and {Quantity.Counted(comparison.Tokens, "token", "tokens")} compared");
        if (comparison.AreEqual) return;

        foreach (var mismatch in comparison.Mismatches) output.WriteLine($"  {mismatch}");
        if (comparison.MismatchCount > comparison.Mismatches.Count) output.WriteLine($"  and {comparison.MismatchCount - comparison.Mismatches.Count} more of the kind");
        output.WriteLine($"  tokens with other experts: {comparison.TokensWithOtherExperts} of {comparison.Tokens}");
        output.WriteLine(Quantity.Text($"  weights that differ: {comparison.WeightsThatDiffer} of {comparison.SharedChoices}, by {comparison.LargestWeightDifference:0.0000} at most"));
        output.WriteLine($"  dropped in one only: {comparison.DroppedInOneOnly} of {comparison.SharedChoices}");
        if (comparison.First is { } first) WriteDifference(first);
    }

    private void WriteDifference(RoutingTraceDifference difference)
    {
        surroundings.Output.WriteLine($"  first: step {difference.Step}, layer {difference.Layer}, {(difference.Entry > 0 ? $"entry {difference.Entry}, " : "")}token {difference.Token}");
        surroundings.Output.WriteLine($"    A: {Choice(difference.First)}");
        surroundings.Output.WriteLine($"    B: {Choice(difference.Second)}");
    }

    private void WriteSource(RoutingTraceReader trace) => surroundings.Output.WriteLine($"{trace.Header.Source}{(trace.IsComplete ? "" : " (cut off)")}");

    private void WriteEntry(SelectedTokens selected)
    {
        var entry = selected.Entry;
        var hasDropped = !entry.Dropped.IsEmpty;
        string[] columns = ["token", "experts", "weights", .. hasDropped ? ["dropped by"] : Array.Empty<string>()];
        var table = new TableWriter(columns) { Numbers = new HashSet<string> { "token" } };
        for (var token = selected.From; token < selected.From + selected.Count; token++)
        {
            var choice = ListedToken.Of(entry, token);
            string[] cells = [$"{token}", Experts(choice.Experts), Weights(choice.Experts, choice.Weights)];
            table.Add(hasDropped ? [.. cells, Experts([.. choice.Experts.Where((_, slot) => choice.Dropped[slot])])] : cells, hasDropped ? "red" : null);
        }

        surroundings.Output.WriteLine();
        surroundings.Output.WriteLine($"step {entry.Step}, layer {entry.Layer}: {Quantity.Counted(entry.Sequences, "sequence", "sequences")} of {Quantity.Counted(entry.SequenceLength, "token", "tokens")}");
        table.Write(surroundings);
    }

    private static string[] Row(RoutingTraceStatistics layer) =>
    [
        $"{layer.Layer.Layer}",
        $"{layer.Layer.ExpertCount}",
        $"{layer.Entries}",
        $"{layer.Tokens}",
        Number(layer.LargestOverMean, "0.00"),
        Number(layer.LoadVariation, "0.00"),
        $"{layer.DeadExperts}",
        Number(layer.DroppedShare, "0.0%"),
        Number(layer.FirstChoiceWeight, "0.000"),
        double.IsNaN(layer.LoadEntropy) ? "-" : Quantity.Text($"{layer.LoadEntropy:0.000} of {Math.Log(layer.Layer.ExpertCount):0.000}"),
    ];

    private static string Choice(RoutingTraceChoice choice)
    {
        var dropped = choice.Experts.Where((_, slot) => choice.Dropped[slot]).ToArray();
        return $"experts {Experts(choice.Experts)}, weights {Weights(choice.Experts, choice.Weights)}{(dropped.Length > 0 ? $", dropped by {Experts(dropped)}" : "")}";
    }

    private static string Experts(IReadOnlyList<int> experts) => string.Join(' ', experts.Select(expert => expert == RoutingTraceEntry.None ? "-" : $"{expert}"));

    private static string Weights(IReadOnlyList<int> experts, IReadOnlyList<float> weights) =>
        string.Join(' ', weights.Select((weight, slot) => experts[slot] == RoutingTraceEntry.None ? "-" : Quantity.Text($"{weight:0.0000}")));

    private static string Number(double value, string format) => double.IsNaN(value) ? "-" : value.ToString(format, System.Globalization.CultureInfo.InvariantCulture);
}
