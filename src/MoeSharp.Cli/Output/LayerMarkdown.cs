using System.Globalization;
using System.Text;

namespace MoeSharp.Cli;

/// <summary>A layer benchmark as a table in Markdown: a row for each case, moesharp's time and shares, and how many times longer the others take.</summary>
internal static class LayerMarkdown
{
    /// <summary>A line on what was measured, when and with what, and the rows of those results that are shown.</summary>
    /// <exception cref="MoeException">No result is shown.</exception>
    public static string Of(LayerBenchmarkReport report, Func<LayerResult, bool> isShown)
    {
        LayerResult[] results = [.. report.Results.Where(isShown)];
        if (results.Length == 0) throw new MoeException("No result is of that shape, number of tokens, routing and pass.");

        Column[] choices = [new("routing", result => result.Suite), new("type", result => result.Dtype), new("pass", result => result.Pass)];
        var ours = results.Where(IsOurs).ToArray();
        var (same, differing) = (choices.Where(choice => ours.DistinctBy(choice.Of).Count() == 1).ToArray(), choices.Where(choice => ours.DistinctBy(choice.Of).Count() > 1).ToArray());
        string[] others = [.. results.Where(result => !IsOurs(result)).Select(result => result.Engine).Distinct()];

        var text = new StringBuilder().Append($"{Heading(report, same.Select(choice => choice.Of(ours[0])), results)}\n\n");
        Row(text, ["shape", "tokens", .. differing.Select(choice => choice.Name), "ms", "of peak", "of read", .. others]);
        Row(text, ["---", "--:", .. differing.Select(_ => "---"), "--:", "--:", "--:", .. others.Select(_ => "--:")]);
        foreach (var one in Cases(results))
        {
            Row(text, [
                one[0].Shape, $"{one[0].Tokens}", .. differing.Select(choice => choice.Of(one[0])), Time(one[0].MedianMs), Share(one[0].PeakShare), Share(one[0].ReadShare),
                .. others.Select(other => one.Find(result => result.Engine == other) is { } result ? Quantity.Text($"{result.Slowdown:0.00}×") : "")]);
        }

        return text.ToString();
    }

    private static bool IsOurs(LayerResult result) => result.Engine == LayerEngine.Ours;

    // a case's results follow on each other, moesharp's first
    private static List<List<LayerResult>> Cases(IEnumerable<LayerResult> results)
    {
        var cases = new List<List<LayerResult>>();
        foreach (var result in results)
        {
            if (IsOurs(result)) cases.Add([]);
            cases[^1].Add(result);
        }

        return cases;
    }

    private static string Heading(LayerBenchmarkReport report, IEnumerable<string> same, LayerResult[] results)
    {
        var machine = report.Machine;
        string when = machine.Date is null ? "" : $", {machine.Date}", rounds = Rounds(results);
        return $"{string.Join(", ", same.Prepend($"{machine.Processor} ({machine.Vectors}), {Quantity.Counted(machine.Threads, "thread", "threads")}{(machine.Pinned ? ", pinned" : "")}{when}"))}; "
            + $"{string.Join(", ", machine.Libraries)}; {LayerReportWriter.Limits(report.Limits)}. "
            + $"ms, of peak and of read are MoeSharp's, the other engines' times multiples of it{rounds}.";
    }

    private static string Rounds(LayerResult[] results)
    {
        var (least, most) = (results.Min(result => result.Rounds), results.Max(result => result.Rounds));
        return least is null ? "" : least == most ? $"; medians of {Quantity.Counted(least.Value, "round", "rounds")}" : $"; medians of {least} to {most} rounds";
    }

    private static void Row(StringBuilder text, IEnumerable<string> cells) => text.Append($"| {string.Join(" | ", cells)} |\n");

    private static string Time(double milliseconds) => milliseconds.ToString(milliseconds < 10 ? "0.00" : milliseconds < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);

    private static string Share(double? share) => share is { } known ? Quantity.Text($"{known * 100:0} %") : "";

    /// <summary>What a case is of, and how the table names it.</summary>
    private sealed record Column(string Name, Func<LayerResult, string> Of);
}
