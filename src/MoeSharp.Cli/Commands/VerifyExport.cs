using System.CommandLine;
using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp verify --export</c>: writes a case of a layer of ours, for others to be held against.</summary>
internal sealed class VerifyExport
{
    private static readonly ExampleCase Default = new();

    private readonly ToolOption<string> _file = ToolOption.Of("--export", "FILE", ValueKind.Text, "write a case of a layer of ours with outputs and gradients to FILE");
    private readonly ToolOption<string> _options = ToolOption.Of("--options", "LAYER.json", ValueKind.Text, "the layer's options as JSON", shownDefault: "a small DeepSeek-V3 layer");
    private readonly ToolOption<int> _seed = Number("--seed", 0, "decides parameters and inputs", Default.Seed);
    private readonly ToolOption<int> _batch = Number("--batch", 1, "number of sequences", Default.Batch);
    private readonly ToolOption<int> _sequence = Number("--sequence", 1, "tokens of a sequence", Default.Sequence);
    private readonly ToolOption<bool> _routerOnly = ToolOption.Flag("--router-only", "only the router: probabilities and losses");

    public IReadOnlyList<Option> Options => [_file, _options, _seed, _batch, _sequence, _routerOnly];

    /// <summary>The case to write and where; null when the call verifies.</summary>
    /// <exception cref="UsageException">The call asks for both, or the options of the layer have faults.</exception>
    public (ExampleCase Case, string File)? Read(ParseResult parsed, IReadOnlyList<string> paths)
    {
        if (!parsed.TryGet(_file, out string? file) || file is null)
        {
            var other = Options.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false });
            return other is null ? null : throw new UsageException($"{other.Name} goes with --export FILE, which is missing.");
        }

        if (paths.Count > 0) throw new UsageException($"--export writes a case and verifies none; leave out '{paths[0]}'.");

        var options = parsed.TryGet(_options, out string? layer) && layer is not null ? ReadLayer(layer) : Default.Options;
        var example = new ExampleCase
        {
            Options = options,
            Seed = Value(parsed, _seed, Default.Seed),
            Batch = Value(parsed, _batch, Default.Batch),
            Sequence = Value(parsed, _sequence, Default.Sequence),
            IsRouterOnly = parsed.GetValue(_routerOnly),
        };
        return (example, file);
    }

    public static int Run(Surroundings surroundings, (ExampleCase Case, string File) wanted, bool isJson)
    {
        try
        {
            surroundings.Engine.Export(wanted.Case, wanted.File);
        }
        catch (ArgumentException error)     // what only the options and the sizes together show: a batch that does not lie on shards
        {
            throw new UsageException(error.Message, error);
        }

        surroundings.Output.WriteLine(isJson ? JsonSerializer.Serialize(new(1, wanted.File), CliJsonContext.Readable.ExportedCase) : $"Case written to {wanted.File}; moesharp verify {wanted.File} compares it.");
        return ExitCode.Success;
    }

    private static MoeOptions ReadLayer(string file)
    {
        if (!File.Exists(file)) throw new UsageException($"--options: there is no file '{file}'.");

        try
        {
            var options = MoeOptionsJson.Read(File.ReadAllText(file), file);
            options.Validate();
            return options;
        }
        catch (Exception error) when (error is MoeException or ArgumentException)
        {
            throw new UsageException(error.Message, error);
        }
    }

    private static ToolOption<int> Number(string name, int least, string description, int shownDefault) =>
        ToolOption.Of(name, "N", ValueKind.WholeNumberFrom(least), description, $"{shownDefault}");

    private static int Value(ParseResult parsed, ToolOption<int> option, int fallback) => parsed.TryGet(option, out int value) ? value : fallback;
}

/// <summary>The JSON of <c>moesharp verify --export --json</c>.</summary>
internal sealed record ExportedCase(int Version, string Path);
