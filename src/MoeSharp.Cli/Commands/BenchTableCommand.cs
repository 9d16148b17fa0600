using System.CommandLine;
using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary><c>moesharp bench table</c>: results that were written before, as a table in Markdown.</summary>
internal static class BenchTableCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var file = new Argument<string>("file") { HelpName = "FILE", Description = "what bench layer --json wrote" };
        var into = ToolOption.Of("--into", "FILE", ValueKind.Text, "put the table into a document, between its two comments, instead of writing it out");
        var command = new ToolCommand("table", "Write results of bench layer as a table in Markdown.")
        {
            Note = "A document shows where with the lines '<!-- results of moesharp bench layer -->' and '<!-- end of results -->'.",
            Examples = ["moesharp bench table layer.json", "moesharp bench table benchmarks/results/epyc-avx2.json --into README.md"],
        };
        command.Add(file);
        command.Add("Output", into);
        command.Does(parsed =>
        {
            string table = LayerMarkdown.Of(Read(parsed.GetValue(file)!));     // an argument that is missing is refused before
            if (parsed.TryGet(into, out var document)) AtomicFile.WriteAllText(document!, LayerMarkdown.Into(File.ReadAllText(document!), document!, table));
            else surroundings.Output.Write(table);
            return ExitCode.Success;
        });
        return command;
    }

    private static LayerBenchmarkReport Read(string file)
    {
        try
        {
            var report = JsonSerializer.Deserialize(File.ReadAllText(file), CliJsonContext.Default.LayerBenchmarkReport);
            if (report is { Version: 1, Machine.Libraries: not null, Limits.ReadGbs: not null, Results.Count: > 0 }) return report;
        }
        catch (JsonException error)
        {
            throw new MoeException($"{file} is no report of bench layer: {error.Message}");
        }

        throw new MoeException($"{file} is no report of bench layer with results, of version 1.");
    }
}
