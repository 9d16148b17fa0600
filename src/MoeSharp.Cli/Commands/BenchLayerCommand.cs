using System.CommandLine;

namespace MoeSharp.Cli;

/// <summary><c>moesharp bench layer</c>: the experts of a layer by every engine, beside the limits of the machine.</summary>
internal static class BenchLayerCommand
{
    public static ToolCommand Create(Surroundings surroundings)
    {
        var known = surroundings.Engine.Layers;
        var plain = new LayerBenchmarkOptions { Engines = known };
        var shapes = ToolOption.Of("--shape", "NAME,NAME", ValueKind.SomeOf(LayerShape.All, shape => shape.Name), $"sizes of layers, of {Names(LayerShape.All, shape => shape.Name)}", "all");
        var tokens = ToolOption.Of("--tokens", "N,N", ValueKind.WholeNumbers, "numbers of tokens", string.Join(",", plain.Tokens));
        var suites = ToolOption.Of("--suite", "NAME,NAME", ValueKind.SomeOf<RoutingSuite>(), "how tokens spread over experts: balanced, zipf", "all");
        var passes = ToolOption.Of("--pass", "NAME,NAME", ValueKind.SomeOf<LayerPass>(), "forward, or train: forward and backward", "all");
        var types = ToolOption.Of("--dtype", "NAME,NAME", ValueKind.SomeOf<ProductType>(), "types of weights and tokens: fp32, bf16", "those the processor multiplies");
        var engines = ToolOption.Of("--engine", "NAME,NAME", ValueKind.SomeOf(known, engine => engine.Name), $"engines beside {known[0].Name}, of {Names(known.Skip(1), engine => engine.Name)}", "all");
        var rounds = ToolOption.Of("--rounds", "N", ValueKind.WholeNumberFrom(1), "the most rounds of each comparison", $"{plain.Rounds}");
        var seconds = ToolOption.Of("--seconds", "N", ValueKind.WholeNumberFrom(1), "for one shape, number of tokens and type; a further round begins only if it ends within these", $"{plain.Time.TotalSeconds:F0}");
        var pin = ToolOption.Switch("--pin", "keep every thread on a processor of its own (Linux)", "true");
        var json = JsonOption.Create();

        var command = new ToolCommand("layer", "Time the experts of a layer: MoeSharp's kernels, libtorch's products one by one and grouped.")
        {
            Note = "Engines run in turn within every round, on the same weights and the same given routing; after each come the limits: multiply-adds in registers, and a plain read of memory. "
                + "'of peak' and 'of read' are the medians of the rounds' shares of these, × the median of the rounds' times over moesharp's.",
            Examples = ["moesharp bench layer --shape olmoe --tokens 128", "moesharp bench layer --shape tiny --pass forward --dtype fp32,bf16", "moesharp bench layer --json layer.json"],
        };
        command.Add("Measuring", shapes, tokens, suites, passes, types, engines, rounds, seconds, pin);
        command.Add("Output", json);
        command.Does(parsed =>
        {
            var options = new LayerBenchmarkOptions
            {
                Shapes = Given(parsed, shapes, plain.Shapes),
                Tokens = [.. Given(parsed, tokens, plain.Tokens).Distinct()],
                Suites = Given(parsed, suites, plain.Suites),
                Passes = Given(parsed, passes, plain.Passes),
                Types = Given(parsed, types, plain.Types),
                Engines = [known[0], .. Given(parsed, engines, known).Where(engine => engine != known[0])],
                Rounds = Given(parsed, rounds, plain.Rounds),
                Time = TimeSpan.FromSeconds(Given(parsed, seconds, (int)plain.Time.TotalSeconds)),
                Pins = Given(parsed, pin, plain.Pins),
            };
            if (!LayerShape.CanMeasure(options.Tokens)) throw new UsageException($"--tokens is to be numbers from 1 to {LayerShape.MostTokens}.");

            Measure(surroundings, options, new LayerReportWriter(surroundings, JsonOption.Read(parsed, json)));
            return ExitCode.Success;
        });
        return command;
    }

    // what was measured before Ctrl-C is written too
    private static void Measure(Surroundings surroundings, LayerBenchmarkOptions options, LayerReportWriter writer)
    {
        using var signals = new StopSignals(() => { });
        bool pinned = PinnedThreads.Start(options.Pins);
        using var limits = new LayerLimitMeter();
        var results = new List<LayerResult>();
        try
        {
            foreach (var result in new LayerBenchmark(options, limits, surroundings.Error.WriteLine, signals.Token).Run()) results.Add(result);
        }
        finally
        {
            if (results.Count > 0) writer.Write(new LayerBenchmarkReport(1, BenchmarkMachine.Describe(options.Engines, pinned, surroundings.Time), limits.Limits(), results));
        }
    }

    private static T Given<T>(ParseResult parsed, Option<T> option, T otherwise) => parsed.TryGet(option, out var value) ? value! : otherwise;       // an option without a value is refused before

    private static string Names<T>(IEnumerable<T> all, Func<T, string> nameOf) => string.Join(", ", all.Select(nameOf));
}
