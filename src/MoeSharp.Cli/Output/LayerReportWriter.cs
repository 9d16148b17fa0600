using System.Globalization;

namespace MoeSharp.Cli;

/// <summary>Writes a report as a table, or as JSON.</summary>
internal sealed class LayerReportWriter(Surroundings surroundings, (bool IsAsked, string? File) json)
{
    private static readonly string[] Columns = ["shape", "tokens", "routing", "type", "pass", "engine", "median ms", "best ms", "of peak", "of read", "×"];

    public void Write(LayerBenchmarkReport report)
    {
        if (!json.IsAsked || json.File is not null) WriteTable(report);
        if (json.IsAsked) JsonOption.Write(surroundings, json.File, report, CliJsonContext.Readable.LayerBenchmarkReport);
    }

    /// <summary>The limits as words.</summary>
    public static string Limits(LayerLimits limits)
    {
        var parts = new List<string>();
        if (limits.Fp32Gflops is { } fp32) parts.Add(Quantity.Text($"fp32 {fp32.Median:F0} GFLOPS (best {fp32.Best:F0})"));
        if (limits.Bf16Gflops is { } bf16) parts.Add(Quantity.Text($"bf16 {bf16.Median:F0} GFLOPS (best {bf16.Best:F0})"));
        parts.Add(Quantity.Text($"reads {limits.ReadGbs.Median:F1} GB/s (best {limits.ReadGbs.Best:F1})"));
        return string.Join(", ", parts);
    }

    private void WriteTable(LayerBenchmarkReport report)
    {
        var table = new TableWriter(Columns) { Numbers = new HashSet<string>(["tokens", .. Columns[6..]]) };
        foreach (var result in report.Results)
        {
            table.Add([
                result.Shape, $"{result.Tokens}", result.Suite, result.Dtype, result.Pass, result.Engine,
                Number(result.MedianMs), Number(result.BestMs), result.PeakShare is { } share ? Percent(share) : "", Percent(result.ReadShare), Quantity.Text($"{result.Slowdown:0.00}")]);
        }

        table.Write(surroundings);
        var (machine, limits) = (report.Machine, report.Limits);
        surroundings.Output.WriteLine($"{machine.Processor} ({machine.Vectors}), {Quantity.Counted(machine.Threads, "thread", "threads")}{(machine.Pinned ? ", pinned" : "")}: {Limits(limits)}");
    }

    private static string Percent(double share) => Quantity.Text($"{share * 100:0.0} %");

    private static string Number(double milliseconds) => milliseconds.ToString(milliseconds < 10 ? "0.000" : "0.0", CultureInfo.InvariantCulture);
}
