namespace MoeSharp.Cli;

/// <summary>The closing words of a run for people.</summary>
internal static class TrainingReport
{
    public static void Write(TrainingFinished finished, TextWriter output)
    {
        var summary = finished.Summary;
        output.WriteLine(Quantity.Text($"Held-out text: {summary.HeldOutBitsPerByte:0.000} bits per byte (gzip -9: {summary.GzipBitsPerByte:0.000})"));
        output.WriteLine(Quantity.Text($"Speed: {summary.TokensPerSecond:#,0} tokens/s; {summary.Steps:#,0} steps, {summary.Tokens:#,0} tokens, {Quantity.Duration(TimeSpan.FromSeconds(summary.Seconds))}; processors {summary.CpuShare:0 %} busy"));
        output.WriteLine($"Peak memory: {Quantity.Bytes(summary.PeakMemoryBytes)}");
        if (summary.DeadExperts > 0) output.WriteLine($"Dead experts: {summary.DeadExperts} got no token in the last step");
        output.WriteLine();
        output.WriteLine("A sample:");
        foreach (var line in $"{finished.Prompt}{finished.Sample}".ReplaceLineEndings("\n").Split('\n')) output.WriteLine($"  {line}".TrimEnd());
        output.WriteLine();
        output.WriteLine($"Written to {finished.Folder}:");
        output.WriteLine($"  {string.Join("  ", finished.Files)}");
        output.WriteLine();
        output.WriteLine("Try next:");
        output.WriteLine($"  {finished.Next}");
    }
}
