using System.CommandLine;
using System.Text.Json;
using MoeSharp.Checkpoints;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp bench table</c>: results that were written before, as a table in Markdown.</summary>
internal static class BenchTableCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var file = new Argument<string>("file") { HelpName = "[FILE]", Description = "what bench layer --json wrote", Arity = ArgumentArity.ZeroOrOne };
        var shapes = ToolOption.Of("--shape", "NAME,NAME", ValueKind.SomeOf([.. LayerShape.All.Select(shape => shape.Name)], name => name), "only these sizes of layers", "all");
        var tokens = ToolOption.Of("--tokens", "N,N", ValueKind.WholeNumbers, "only these numbers of tokens", "all");
        var suites = ToolOption.Of("--suite", "NAME,NAME", ValueKind.SomeOf<RoutingSuite>(), "only this routing: balanced, zipf", "all");
        var passes = ToolOption.Of("--pass", "NAME,NAME", ValueKind.SomeOf<LayerPass>(), "only forward, or train", "all");
        var into = ToolOption.Of("--into", "FILE", ValueKind.Text, "write the tables that a document has, instead of one to the output");
        var command = new ToolCommand("table", "Write results of bench layer as a table in Markdown.")
        {
            Note = "A document says what tables it has, and where, by the command that writes them: a line '<!-- moesharp bench table FILE -->', with the options that it needs and FILE as seen from the document, "
                + "and a line '<!-- end of table -->'.",
            Examples = ["moesharp bench table layer.json --pass forward", "moesharp bench table --into README.md"],
        };
        command.Add(file);
        command.Add("Rows", shapes, tokens, suites, passes);
        command.Add("Output", into);
        command.Does(parsed =>
        {
            string? report = parsed.GetValue(file);
            bool hasDocument = parsed.TryGet(into, out var document);
            if (report is null == !hasDocument) throw new UsageException("bench table takes either the FILE of a report, or --into and a document that names its reports.");

            if (hasDocument) AtomicFile.WriteAllText(document!, Refreshed(document!));
            else surroundings.Output.Write(Table(parsed, report!));
            return ExitCode.Success;
        });
        return command;

        string Refreshed(string path) => MarkdownTables.Refresh(File.ReadAllText(path), path, words => TableOf(words, Path.GetDirectoryName(Path.GetFullPath(path))!));

        // a document's own words for a table, which are those of this command
        string TableOf(string[] words, string folder)
        {
            var parsed = command.Parse(words);
            if (WrongUsage.Of(parsed) is { } mistake) throw new UsageException(mistake);
            if (parsed.GetValue(file) is not { } report) throw new UsageException("FILE is missing.");

            return Table(parsed, Path.Combine(folder, report));
        }

        string Table(ParseResult parsed, string report) => LayerMarkdown.Of(Read(report), result =>
            (!parsed.TryGet(shapes, out var someShapes) || someShapes!.Contains(result.Shape))
            && (!parsed.TryGet(tokens, out var someTokens) || someTokens!.Contains(result.Tokens))
            && (!parsed.TryGet(suites, out var someSuites) || someSuites!.Any(suite => ChoiceWord.Of($"{suite}") == result.Suite))
            && (!parsed.TryGet(passes, out var somePasses) || somePasses!.Any(pass => ChoiceWord.Of($"{pass}") == result.Pass)));
    }

    private static LayerBenchmarkReport Read(string file)
    {
        try
        {
            var report = JsonSerializer.Deserialize(File.ReadAllText(file), CliJsonContext.Default.LayerBenchmarkReport);
            if (report is { Version: 1, Machine.Libraries: not null, Limits.ReadGbs: not null, Results: [{ Engine: LayerEngine.Ours }, ..] }) return report;
        }
        catch (JsonException error)
        {
            throw new MoeException($"{file} is no report of bench layer: {error.Message}");
        }

        throw new MoeException($"{file} is no report of bench layer with results, of version 1.");
    }
}
