using System.CommandLine;
using System.Text.Json;

namespace MoeSharp.Cli;

/// <summary><c>moesharp trace show | stats | diff</c>: reads the routing traces of runs.</summary>
internal static class TraceCommand
{
    private const int DefaultLimit = 50;

    public static ToolCommand Create(Surroundings surroundings)
    {
        var command = new ToolCommand("trace", "Look into a routing trace: which token went to which experts.") { Examples = ["moesharp trace show run.trace --step 3 --layer 0", "moesharp trace stats run.trace --plot load.png", "moesharp trace diff before.trace after.trace"] };
        command.Add(Show(surroundings));
        command.Add(Stats(surroundings));
        command.Add(Diff(surroundings));
        return command;
    }

    private static ToolCommand Show(Surroundings surroundings)
    {
        var file = TraceFile("file", "FILE");
        var step = ToolOption.Of("--step", "N", ValueKind.WholeNumberFrom(0), "only this step");
        var layer = ToolOption.Of("--layer", "N", ValueKind.WholeNumberFrom(0), "only this layer");
        var tokens = ToolOption.Of("--tokens", "A..B", ValueKind.TokenRange, "only these tokens of each entry, both ends included");
        var limit = ToolOption.Of("--limit", "N", ValueKind.WholeNumberFrom(0), "the most tokens to show in all; 0 shows every one", $"{DefaultLimit}");
        var (partial, json) = (Partial(), ToolOption.Flag("--json", "print one JSON object with the header and the entries"));
        var command = new ToolCommand("show", "Show the experts and weights of each token.")
        {
            Examples = ["moesharp trace show run.trace", "moesharp trace show run.trace --step 3 --layer 0 --tokens 0..7", "moesharp trace show run.trace --layer 1 --limit 0 --json"],
        };
        command.Add(file);
        command.Add("Selection", step, layer, tokens, limit);
        command.Add("Output", partial, json);
        command.Does(parsed =>
        {
            using var trace = RoutingTraceReader.Open(parsed.GetRequiredValue(file), parsed.GetValue(partial));
            var selection = new TraceSelection
            {
                Step = parsed.TryGet(step, out var wantedStep) ? wantedStep : null,
                Layer = parsed.TryGet(layer, out var wantedLayer) ? wantedLayer : null,
                Tokens = parsed.TryGet(tokens, out var wantedTokens) ? wantedTokens : null,
                Limit = parsed.TryGet(limit, out var wanted) ? wanted : DefaultLimit,
            };
            selection.Check(trace);

            if (parsed.GetValue(json)) surroundings.Output.WriteLine(JsonSerializer.Serialize(TraceListing.Of(trace, selection), CliJsonContext.Readable.TraceListing));
            else new TraceView(surroundings).WriteEntries(trace, selection);
            return ExitCode.Success;
        });
        return command;
    }

    private static ToolCommand Stats(Surroundings surroundings)
    {
        var file = TraceFile("file", "FILE");
        var plot = ToolOption.Of("--plot", "FILE", ValueKind.Text, "write a heat map of the load, layers × experts, as a PNG");
        var (partial, json) = (Partial(), ToolOption.Flag("--json", "print one JSON object with the load of every expert"));
        var command = new ToolCommand("stats", "Sum up how each layer uses its experts.")
        {
            Examples = ["moesharp trace stats run.trace", "moesharp trace stats run.trace --plot load.png", "moesharp trace stats run.trace --json"],
        };
        command.Add(file);
        command.Add("Output", plot, partial, json);
        command.Does(parsed =>
        {
            using var trace = RoutingTraceReader.Open(parsed.GetRequiredValue(file), parsed.GetValue(partial));
            var layers = RoutingTraceStatistics.Of(trace.Header, trace.ReadEntries());
            var image = parsed.GetValue(plot);
            if (image is not null) TraceLoadPlot.Write(image, layers);

            if (parsed.GetValue(json)) surroundings.Output.WriteLine(JsonSerializer.Serialize(TraceSummary.Of(trace, layers), CliJsonContext.Readable.TraceSummary));
            else new TraceView(surroundings).WriteStatistics(trace, layers, image);
            return ExitCode.Success;
        });
        return command;
    }

    private static ToolCommand Diff(Surroundings surroundings)
    {
        var (first, second) = (TraceFile("first", "A"), TraceFile("second", "B"));
        var (partial, json) = (Partial(), ToolOption.Flag("--json", "print the result as one JSON object"));
        var command = new ToolCommand("diff", "Compare two traces, decision by decision.")
        {
            Note = "Entries of the same step and layer belong together, whatever their order in the file. Exit codes: 0 equal, 1 different, 2 a trace cannot be read.",
            Examples = ["moesharp trace diff before.trace after.trace", "moesharp trace diff cpu.trace gpu.trace --json"],
        };
        command.Add(first);
        command.Add(second);
        command.Add("Output", partial, json);
        command.Does(parsed =>
        {
            var comparison = Compare(parsed.GetRequiredValue(first), parsed.GetRequiredValue(second), parsed.GetValue(partial));

            if (parsed.GetValue(json)) surroundings.Output.WriteLine(JsonSerializer.Serialize(TraceDiff.Of(comparison), CliJsonContext.Readable.TraceDiff));
            else new TraceView(surroundings).WriteComparison(comparison);
            return comparison.AreEqual ? ExitCode.Success : ExitCode.Failure;
        });
        return command;
    }

    private static RoutingTraceComparison Compare(string first, string second, bool allowPartial)
    {
        try
        {
            using var left = RoutingTraceReader.Open(first, allowPartial);
            using var right = RoutingTraceReader.Open(second, allowPartial);
            return RoutingTraceComparison.Of(left, right);
        }
        catch (MoeException error)
        {
            throw new UsageException(error.Message, error); // 1 means that they differ
        }
    }

    private static Argument<string> TraceFile(string name, string shownName) => new(name) { HelpName = shownName, Description = "a routing trace" };

    private static ToolOption<bool> Partial() => ToolOption.Flag("--partial", "read what a run that was cut off left, up to its last whole record");
}
