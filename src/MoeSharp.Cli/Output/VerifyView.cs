using System.Globalization;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>The verdicts of <c>moesharp verify</c> for people: everything that differs and the closest calls, or every row.</summary>
internal sealed class VerifyView(Surroundings surroundings, bool isVerbose)
{
    private const int ClosestCalls = 5;

    public void Write(VerifyOutcome outcome)
    {
        var output = surroundings.Output;
        if (outcome.Report is not { } report)
        {
            output.WriteLine($"{outcome.Path}: UNREADABLE");
            surroundings.Error.WriteLine(outcome.Unreadable);
            return;
        }

        output.WriteLine($"{outcome.Path} ({report.Kind}): {Verdict(report)}");
        WriteRows(report);
        if (report.Skipped.Count > 0) output.WriteLine($"  not checked: {string.Join(", ", isVerbose ? report.Skipped : Grouped(report.Skipped))}");
        output.WriteLine();
    }

    public void WriteSummary(IReadOnlyCollection<VerifyOutcome> outcomes)
    {
        var unreadable = outcomes.Count(outcome => outcome.Report is null);
        var differ = outcomes.Count(outcome => !outcome.Passed) - unreadable;
        var holds = outcomes.Count - unreadable - differ;

        surroundings.Output.WriteLine($"{Cases(outcomes.Count)}: {holds} hold{(differ > 0 ? $", {differ} differ" : "")}{(unreadable > 0 ? $", {unreadable} unreadable" : "")}");
    }

    private void WriteRows(VerifyReport report)
    {
        var rows = isVerbose ? report.Rows : Notable(report);
        if (rows.Count == 0) return;

        var table = new TableWriter("tensor", "shape", "relative error", "limit", "verdict") { Numbers = new HashSet<string> { "relative error", "limit" } };
        foreach (var row in rows)
        {
            table.Add([row.Tensor, $"[{string.Join(", ", row.Shape)}]", Scientific(row.Error), Scientific(row.Limit), row.Passed ? "holds" : "DIFFERS"], row.Passed ? "green" : "red bold");
        }

        table.Write(surroundings);
        if (rows.Count < report.Rows.Count) surroundings.Output.WriteLine($"  and {report.Rows.Count - rows.Count} more that hold; --verbose shows them");
    }

    // what differs, worst first, then what came closest to its limit
    private static IReadOnlyList<VerifyRow> Notable(VerifyReport report)
    {
        var byStrain = report.Rows.OrderByDescending(row => double.IsNaN(row.Error) ? double.PositiveInfinity : row.Error / row.Limit).ToArray();
        return [.. byStrain.Where(row => !row.Passed), .. byStrain.Where(row => row.Passed).Take(ClosestCalls)];
    }

    // many gradients, or many tensors under padding, are one thing that was not checked
    private static IEnumerable<string> Grouped(IReadOnlyList<string> names) => names
        .GroupBy(name => name.Split('.')[0])
        .Select(group => group.Count() == 1 ? group.First() : $"{group.Key}.* ({group.Count()})");

    private static string Verdict(VerifyReport report)
    {
        var failed = report.Rows.Count(row => !row.Passed);
        return failed == 0 ? $"holds, {report.Rows.Count} of {report.Rows.Count} tensors" : $"DIFFERS in {failed} of {report.Rows.Count} tensors";
    }

    private static string Cases(int count) => count == 1 ? "1 case" : $"{count} cases";

    private static string Scientific(double value) => value.ToString("0.0e+0", CultureInfo.InvariantCulture);
}
