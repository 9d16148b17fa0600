using System.CommandLine;
using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp verify</c>: holds our results against reference cases.</summary>
internal static class VerifyCommand
{
    public static ToolCommand Create(Surroundings surroundings, Option<bool> verbose)
    {
        var paths = new Argument<string[]>("path") { HelpName = "PATH...", Description = "cases: files *.case.safetensors (layers, routers), safetensors files with a 'case' in their metadata (quantized tensors), folders with config.json, model.safetensors and expected.safetensors (models), or folders that hold such files and folders", Arity = ArgumentArity.ZeroOrMore };
        var json = ToolOption.Flag("--json", "print one JSON object with every case and row");
        var export = new VerifyExport();
        var command = new ToolCommand("verify", "Compare what MoeSharp computes with reference cases, tensor by tensor.")
        {
            Note = "Shows what differs and what came closest to its limit; --verbose shows every tensor. Exit codes: 0 all hold, 1 something differs, 2 a case cannot be read.",
            Examples = ["moesharp verify my-case", "moesharp verify cases/ --verbose", "moesharp verify cases/models cases/layer.case.safetensors --json", "moesharp verify --export example.case.safetensors --seed 7"],
        };
        command.Add(paths);
        command.Add("Output", json);
        command.Add("Export", [.. export.Options]);
        command.Does(parsed =>
        {
            string[] given = parsed.GetValue(paths) ?? [];
            if (export.Read(parsed, given) is { } wanted) return VerifyExport.Run(surroundings, wanted, parsed.GetValue(json));
            if (given.Length == 0) throw new UsageException($"PATH... is missing. Usage: {HelpPage.Usage(command)}");

            return Run(surroundings, given, parsed.GetValue(json), parsed.GetValue(verbose));
        });
        return command;
    }

    private static int Run(Surroundings surroundings, IReadOnlyList<string> paths, bool isJson, bool isVerbose)
    {
        using var signals = new StopSignals(() => { });
        var outcomes = VerifyCases.Find(paths).Select(path => Verify(surroundings, path, signals.Token));

        if (isJson)
        {
            var results = outcomes.ToArray();
            surroundings.Output.WriteLine(JsonSerializer.Serialize(new VerifyResults(1, Worst(results) == ExitCode.Success, results), CliJsonContext.Readable.VerifyResults));
            return Worst(results);
        }

        var view = new VerifyView(surroundings, isVerbose);
        List<VerifyOutcome> shown = [];
        foreach (var outcome in outcomes)
        {
            view.Write(outcome); // each as soon as it is known
            shown.Add(outcome);
        }

        view.WriteSummary(shown);
        return Worst(shown);
    }

    private static VerifyOutcome Verify(Surroundings surroundings, string path, CancellationToken stop)
    {
        try
        {
            return new(path, surroundings.Engine.Verify(path, stop), Unreadable: null);
        }
        catch (Exception error) when (error is MoeException or IOException or UnauthorizedAccessException)
        {
            return new(path, Report: null, error.Message);
        }
    }

    private static int Worst(IReadOnlyCollection<VerifyOutcome> outcomes) =>
        outcomes.Any(outcome => outcome.Report is null) ? ExitCode.Usage : outcomes.Any(outcome => !outcome.Passed) ? ExitCode.Failure : ExitCode.Success;
}

/// <summary>What became of one case: a report, or the reason why it cannot be read.</summary>
internal sealed record VerifyOutcome(string Path, VerifyReport? Report, string? Unreadable)
{
    public bool Passed => Report is { Passed: true };
}

/// <summary>The JSON of <c>moesharp verify --json</c>.</summary>
internal sealed record VerifyResults(int Version, bool Passed, IReadOnlyList<VerifyOutcome> Cases);
