using System.Globalization;

namespace MoeSharp.Cli;

/// <summary><c>moesharp bench steps</c>: where the time of a whole layer goes.</summary>
internal static class BenchStepsCommand
{
    private const int Tokens = 1024, Rounds = 7;

    public static ToolCommand Create(Surroundings surroundings)
    {
        ProductType[] all = [.. Enum.GetValues<ProductType>().Where(PeakLoop.IsSupported)];
        var shapes = ToolOption.Of("--shape", "NAME,NAME", ValueKind.SomeOf(LayerShape.All, shape => shape.Name), $"sizes of layers, of {string.Join(", ", LayerShape.All.Select(shape => shape.Name))}", "all");
        var tokens = ToolOption.Of("--tokens", "N,N", ValueKind.WholeNumbers, "numbers of tokens", $"{Tokens}");
        var types = ToolOption.Of("--dtype", "NAME,NAME", ValueKind.SomeOf<ProductType>(), "types of the experts' weights: fp32, bf16", "those the processor multiplies");
        var rounds = ToolOption.Of("--rounds", "N", ValueKind.WholeNumberFrom(1), "rounds of each measurement", $"{Rounds}");
        var json = JsonOption.Create();
        var command = new ToolCommand("steps", "Time the steps of a whole layer: router, experts, and what moves tokens between them.")
        {
            Note = "The layer is MoeLayer with random weights, and its router chooses. Shares are of the layer's time: those of gate and routing from calls of their own, in turn with the layer's, the experts' from the time that "
                + "threads spend in each kind of task. The last column is routing, tokens laid out and the weighted sum together.",
            Examples = ["moesharp bench steps", "moesharp bench steps --shape olmoe --tokens 128,1024 --json"],
        };
        command.Add("Measuring", shapes, tokens, types, rounds);
        command.Add("Output", json);
        command.Does(parsed =>
        {
            var counts = parsed.TryGet(tokens, out var wanted) ? wanted! : [Tokens];
            if (!LayerShape.CanMeasure(counts)) throw new UsageException($"--tokens is to be numbers from 1 to {LayerShape.MostTokens}.");
            var output = JsonOption.Read(parsed, json);

            using var signals = new StopSignals(() => { });
            PinnedThreads.Start(pins: true);
            StepResult[] results = [.. StepBenchmark.Run(parsed.TryGet(shapes, out var some) ? some! : LayerShape.All, counts, parsed.TryGet(types, out var of) ? of! : all, parsed.TryGet(rounds, out int given) ? given : Rounds, signals.Token)];
            Write(surroundings, results, output);
            return ExitCode.Success;
        });
        return command;
    }

    private static void Write(Surroundings surroundings, StepResult[] results, (bool IsAsked, string? File) json)
    {
        if (json.IsAsked) JsonOption.Write(surroundings, json.File, new(1, Machine.Describe(), results), CliJsonContext.Readable.StepBenchmarkReport);
        if (json.IsAsked && json.File is null) return;

        string[] shares = ["gate", "routing", "lay out", "up", "down", "sum", "routing and permutation"];
        var table = new TableWriter(["shape", "tokens", "dtype", "ms", .. shares]) { Numbers = new HashSet<string>(["tokens", "ms", .. shares]) };
        foreach (var result in results)
        {
            double[] values = [result.Gate, result.Routing, result.LayOut, result.Up, result.Down, result.Sum, result.RoutingAndPermutation];
            table.Add([result.Shape, $"{result.Tokens}", result.Dtype, result.Milliseconds.ToString("0.00", CultureInfo.InvariantCulture), .. values.Select(value => Quantity.Text($"{100 * value:0.00} %"))]);
        }

        table.Write(surroundings);
    }
}

/// <summary>The JSON of <c>moesharp bench steps --json</c>.</summary>
internal sealed record StepBenchmarkReport(int Version, Machine Machine, IReadOnlyList<StepResult> Results);
