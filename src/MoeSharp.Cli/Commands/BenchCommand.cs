using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary><c>moesharp bench</c>: times what the library computes against the same computed otherwise, in one process, in turn.</summary>
internal static class BenchCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var command = new ToolCommand("bench", "Time what MoeSharp computes against the same computed with TorchSharp operations.") { Examples = ["moesharp bench layer --shape olmoe --tokens 128", "moesharp bench router --tokens 1024 --json"] };
        command.Add(BenchLayerCommand.Create(surroundings));
        command.Add(Router(surroundings));
        command.Add(BenchStepsCommand.Create(surroundings));
        command.Add(BenchLoadCommand.Create(surroundings));
        command.Add(BenchTableCommand.Create(surroundings));
        return command;
    }

    private static ToolCommand Router(Surroundings surroundings)
    {
        var tokens = ToolOption.Of("--tokens", "N,N", ValueKind.WholeNumbers, "numbers of tokens to measure", string.Join(",", RouterBenchmark.TokenCounts));
        var experts = ToolOption.Of("--experts", "N,N", ValueKind.WholeNumbers, $"only the shapes with these numbers of experts, of {string.Join(", ", RouterBenchmark.Shapes.Select(shape => shape.Experts))}", "all");
        var rounds = ToolOption.Of("--rounds", "N", ValueKind.WholeNumberFrom(1), "rounds of each comparison", "15");
        var json = JsonOption.Create();
        var command = new ToolCommand("router", "Time routing: scores, selection, weights, sort by expert; and the gradient back to the logits.")
        {
            Note = "Engines run in turn within every round, each thread on a processor of its own; the speed-up is the median of the rounds' ratios. The layer's time is the kernel with tensors in and out.",
            Examples = ["moesharp bench router", "moesharp bench router --experts 64,128 --tokens 1,1024", "moesharp bench router --json router.json"],
        };
        command.Add("Measuring", tokens, experts, rounds);
        command.Add("Output", json);
        command.Does(parsed =>
        {
            using var signals = new StopSignals(() => { });
            IEnumerable<RouterShape> shapes = parsed.TryGet(experts, out var wanted) ? RouterBenchmark.Shapes.Where(shape => wanted!.Contains(shape.Experts)) : RouterBenchmark.Shapes;
            var counts = parsed.TryGet(tokens, out var wantedTokens) ? wantedTokens! : RouterBenchmark.TokenCounts;
            if (!shapes.Any() || !LayerShape.CanMeasure(counts)) throw new UsageException($"Nothing to measure: choose experts of {string.Join(", ", RouterBenchmark.Shapes.Select(shape => shape.Experts))}, and 1 to {LayerShape.MostTokens} tokens.");

            var output = JsonOption.Read(parsed, json);
            PinnedThreads.Start(pins: true);
            var results = RouterBenchmark.Run(shapes, counts, parsed.TryGet(rounds, out var count) ? count : 15, signals.Token);
            Write(surroundings, results, output);
            return ExitCode.Success;
        });
        return command;
    }

    private static void Write(Surroundings surroundings, IEnumerable<RouterResult> results, (bool IsAsked, string? File) json)
    {
        RouterResult[] all = [.. results];
        if (!json.IsAsked)
        {
            var table = new TableWriter("experts/k", "tokens", "pass", "kernel µs", "TorchSharp µs", "layer µs", "speed-up") { Numbers = new HashSet<string> { "tokens", "kernel µs", "TorchSharp µs", "layer µs", "speed-up" } };
            foreach (var result in all)
            {
                table.Add([result.Shape, $"{result.Tokens}", result.Pass, $"{result.KernelMicroseconds:F1}", $"{result.TorchMicroseconds:F1}", result.LayerMicroseconds is { } layer ? $"{layer:F1}" : "", $"{result.Speedup:F1}×"]);
            }

            table.Write(surroundings);
            return;
        }

        JsonOption.Write(surroundings, json.File, new(1, Machine.Describe(), all), CliJsonContext.Readable.RouterBenchmarkReport);
    }
}

/// <summary>The JSON of <c>moesharp bench router --json</c>.</summary>
internal sealed record RouterBenchmarkReport(int Version, Machine Machine, IReadOnlyList<RouterResult> Results);

/// <summary>What numbers were measured on.</summary>
internal sealed record Machine(string Processor, int Cores, string OperatingSystem, string Runtime, string Vectors)
{
    public static Machine Describe() => new(
        ProcessorName(), Environment.ProcessorCount, RuntimeInformation.OSDescription, RuntimeInformation.FrameworkDescription,
        Vector512.IsHardwareAccelerated ? "AVX-512" : Vector256.IsHardwareAccelerated ? "AVX2" : Vector128.IsHardwareAccelerated ? "128 bits" : "none");

    private static string ProcessorName()
    {
        const string Key = "model name";
        string? line = File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith(Key, StringComparison.Ordinal)) : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }
}
