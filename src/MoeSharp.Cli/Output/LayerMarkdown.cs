using System.Globalization;
using System.Text;

namespace MoeSharp.Cli;

/// <summary>A layer benchmark as a table in Markdown: a row for each case, moesharp's time and shares, and how many times longer the others take.</summary>
internal static class LayerMarkdown
{
    private const string Begin = "<!-- results of moesharp bench layer -->", End = "<!-- end of results -->";

    /// <summary>The lines, and what they were measured on.</summary>
    public static string Of(LayerBenchmarkReport report)
    {
        string[] others = [.. report.Results.Select(result => result.Engine).Where(engine => engine != LayerEngine.All[0].Name).Distinct()];
        var text = new StringBuilder();
        Row(text, ["shape", "tokens", "routing", "type", "pass", "ms", "of peak", "of read", .. others]);
        Row(text, ["---", "--:", "---", "---", "---", "--:", "--:", "--:", .. others.Select(_ => "--:")]);
        foreach (var one in report.Results.GroupBy(result => (result.Shape, result.Tokens, result.Suite, result.Dtype, result.Pass)))
        {
            var ours = one.First(result => result.Engine == LayerEngine.All[0].Name);
            Row(text, [
                ours.Shape, $"{ours.Tokens}", ours.Suite, ours.Dtype, ours.Pass, Time(ours.MedianMs), Share(ours.PeakShare), Share(ours.ReadShare),
                .. others.Select(other => one.FirstOrDefault(result => result.Engine == other) is { } result ? Quantity.Text($"{result.Slowdown:0.00}×") : "")]);
        }

        var machine = report.Machine;
        text.Append('\n').Append($"{machine.Processor} ({machine.Vectors}), {Quantity.Counted(machine.Threads, "thread", "threads")}{(machine.Pinned ? ", pinned" : "")}; {string.Join(", ", machine.Libraries)}; ");
        text.Append($"{LayerReportWriter.Limits(report.Limits)}. Times of other engines are multiples of MoeSharp's.\n");
        return text.ToString();
    }

    /// <summary>A document with the table between its two comments, whatever stood there before.</summary>
    /// <exception cref="MoeException">The document has no place for it.</exception>
    public static string Into(string document, string name, string table)
    {
        int from = document.IndexOf(Begin, StringComparison.Ordinal);
        int to = document.IndexOf(End, StringComparison.Ordinal);
        if (from < 0 || to < from) throw new MoeException($"{name} has no place for results; put a line '{Begin}' and a line '{End}' where they belong.");

        return $"{document[..(from + Begin.Length)]}\n{table}{document[to..]}";
    }

    private static void Row(StringBuilder text, IEnumerable<string> cells) => text.Append($"| {string.Join(" | ", cells)} |\n");

    private static string Time(double milliseconds) => milliseconds.ToString(milliseconds < 10 ? "0.00" : milliseconds < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);

    private static string Share(double? share) => share is { } known ? Quantity.Text($"{known * 100:0} %") : "";
}
