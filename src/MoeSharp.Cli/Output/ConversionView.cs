using System.Globalization;
using MoeSharp.Checkpoints;
using Spectre.Console;

namespace MoeSharp.Cli;

/// <summary>A conversion for people: a bar on a terminal, a line every five seconds anywhere else, and the proof as a table.</summary>
internal sealed class ConversionView(Surroundings surroundings, bool isQuiet)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>Shows how far some work is, while it is done.</summary>
    public T During<T>(string activity, Func<IProgress<ConversionProgress>?, T> work)
    {
        if (isQuiet) return work(null);
        if (surroundings.Terminal is not { } terminal) return work(new Lines(surroundings, activity));

        return terminal.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new RemainingTimeColumn())
            .Start(context => work(new Bar(context.AddTask(activity))));
    }

    public void Write(ConversionSummary summary)
    {
        if (isQuiet) return;

        string files = Quantity.Counted(summary.Files.Count, "file", "files"), before = summary.FilesBefore > 0 ? $", {summary.FilesBefore} of them from a run before" : "";
        surroundings.Output.WriteLine($"{Quantity.Counted(summary.Tensors, "tensor", "tensors")}, {Quantity.Bytes(summary.Bytes)}, in {files}{before}: {summary.Path}");
        foreach (string note in summary.Notes) surroundings.Output.WriteLine(note);
    }

    public void Write(ConversionProof proof, string file)
    {
        if (isQuiet) return;

        WriteTensors(proof);
        WriteLayers(proof);
        foreach (string fault in proof.Faults) surroundings.Output.WriteLine(fault);
        surroundings.Output.WriteLine($"{(proof.Passed ? "The target is the source" : "The target DIFFERS from the source")}: {file}");
    }

    private void WriteTensors(ConversionProof proof)
    {
        var table = new TableWriter("kind", "from", "to", "tensors", "compared", "different", "largest difference", "limit", "verdict") { Numbers = new HashSet<string> { "tensors", "compared", "different", "largest difference" } };
        foreach (var row in proof.Tensors)
        {
            table.Add([row.Kind, row.From, row.To, Quantity.Grouped(row.Count), Quantity.Grouped(row.Compared), Quantity.Grouped(row.Different), Scientific(row.MaxDifference), row.Limit, Verdict(row.Passed)], Colour(row.Passed));
        }

        table.Write(surroundings);
    }

    private void WriteLayers(ConversionProof proof)
    {
        var table = new TableWriter("layer", "tokens", "other experts", "output difference", "limit", "verdict") { Numbers = new HashSet<string> { "layer", "tokens", "other experts", "output difference", "limit" } };
        foreach (var layer in proof.Layers) table.Add([$"{layer.Layer}", $"{layer.Tokens}", $"{layer.OtherExperts}", Scientific(layer.Difference), Scientific(layer.Limit), Verdict(layer.Passed)], Colour(layer.Passed));
        if (!table.IsEmpty) table.Write(surroundings);
    }

    private static string Verdict(bool passed) => passed ? "holds" : "DIFFERS";

    private static string Colour(bool passed) => passed ? "green" : "red bold";

    private static string Scientific(double value) => value == 0 ? "0" : value.ToString("0.0e+0", CultureInfo.InvariantCulture);

    private sealed class Bar(ProgressTask task) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value)
        {
            task.MaxValue = value.TotalBytes;
            task.Value = value.Bytes;
        }
    }

    private sealed class Lines(Surroundings surroundings, string activity) : IProgress<ConversionProgress>
    {
        private long _last = surroundings.Time.GetTimestamp();

        public void Report(ConversionProgress value)
        {
            if (surroundings.Time.GetElapsedTime(_last) < Pause) return;

            _last = surroundings.Time.GetTimestamp();
            surroundings.Error.WriteLine($"{activity}: {Quantity.Bytes(value.Bytes)} of {Quantity.Bytes(value.TotalBytes)}, at {value.Tensor}");
        }
    }
}
