using System.CommandLine;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary><c>moesharp train</c>: what it takes; <see cref="TrainingSession"/> does the work.</summary>
internal sealed class TrainCommand
{
    private readonly ToolOption<string> _preset = ToolOption.Of("--preset", "NAME", ValueKind.Text with { Words = [.. TrainingPresets.All.Keys] }, $"options to start from: {string.Join(", ", TrainingPresets.All.Keys)}", "default");
    private readonly ToolOption<string> _config = ToolOption.Of("--config", "FILE", ValueKind.Text, "JSON file with options: they override the preset, and options given here override them");
    private readonly ToolOption<string[]> _data = ToolOption.Paths("--data", "text to train on: files, folders or globs of text, Markdown, source, JSON lines, gzip", "the .NET SDK's documentation");
    private readonly ToolOption<string> _tokenizer = ToolOption.Of("--tokenizer", "FILE", ValueKind.Text, "tokenizer.json to use", "one is trained on the text");
    private readonly ToolOption<string> _out = ToolOption.Of("--out", "DIR", ValueKind.Text, "folder for the model and the records of the run", "runs/PRESET, or the next free runs/PRESET-N");
    private readonly ToolOption<string> _resume = ToolOption.Of("--resume", "DIR", ValueKind.Text, "continue the stopped run in this folder with its own options and data; of the other options only --trace, --threads, --json, --quiet and --verbose may be given");
    private readonly ToolOption<bool> _force = ToolOption.Flag("--force", "replace what --out and --trace hold");
    private readonly ToolOption<string> _trace = ToolOption.Of("--trace", "FILE", ValueKind.Text, "record which tokens went to which experts in every step, for 'moesharp trace'");
    private readonly ToolOption<int> _threads = ToolOption.Of("--threads", "N", ValueKind.WholeNumberIn(1, WorkerPool.MostThreads), "threads to compute with; resuming to the same bits needs the same number", "all cores; with --resume, the run's own");
    private readonly ToolOption<bool> _json = ToolOption.Flag("--json", "print events, one JSON object a line");
    private readonly ToolOption<bool> _quiet = ToolOption.Flag("--quiet", "print only what the run achieved");
    private readonly ToolOption<bool> _listPresets = ToolOption.Flag("--list-presets", "show the presets with their sizes and the memory they need, and train nothing");
    private readonly IReadOnlyList<TrainingSetting> _settings = TrainingSettings.Create();
    private readonly Surroundings _surroundings;

    private TrainCommand(Surroundings surroundings)
    {
        _surroundings = surroundings;
    }

    public static ToolCommand Create(Surroundings surroundings) => new TrainCommand(surroundings).ToCommand();

    private ToolCommand ToCommand()
    {
        var command = new ToolCommand("train", "Train a Mixture-of-Experts language model on text.")
        {
            Note = "In brackets: what holds without the option; for the options of model and training, the values of the preset 'default'.",
            Examples =
            [
                "moesharp train",
                "moesharp train --data notes/ \"articles/**/*.md\" --steps 2000 --out my-model",
                "moesharp train --preset tiny --experts 8 --top-k 2 --balance bias --json",
                "moesharp train --resume my-model",
            ],
        };
        command.Add("Run", _preset, _config, _data, _tokenizer, _out, _resume, _force, _trace, _threads, _json, _quiet, _listPresets);
        foreach (var group in _settings.GroupBy(setting => setting.Group)) command.Add(group.Key, [.. group.Select(setting => setting.Option)]);
        command.Does(Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        if (parsed.GetValue(_listPresets))
        {
            PresetTable.Write(_surroundings, parsed.GetValue(_json));
            return ExitCode.Success;
        }

        var resumed = Resumed(parsed);
        var options = Resolve(parsed, resumed);
        return new TrainingSession(_surroundings, options, RunOf(parsed, resumed), parsed.GetValue(_json), parsed.GetValue(_quiet)).Run();
    }

    private RunFile? Resumed(ParseResult parsed)
    {
        if (!parsed.TryGet(_resume, out var folder)) return null;

        Option[] welcome = [_resume, _trace, _threads, _json, _quiet];
        var refused = parsed.CommandResult.Command.Options.Except(welcome)
            .Where(option => parsed.GetResult(option) is { Implicit: false })
            .Select(option => option.Name)
            .ToArray();
        if (refused.Length > 0) throw new UsageException($"--resume continues a run with its own options; leave out {string.Join(", ", refused)} (only --trace, --threads, --json, --quiet and --verbose go with it).");

        return RunFile.Read(folder!); // an option that was given has a value
    }

    private TrainingOptions Resolve(ParseResult parsed, RunFile? resumed)
    {
        if (resumed is not null) return TrainingConfiguration.Checked(resumed.Options);

        var options = TrainingConfiguration.Preset(PresetName(parsed));
        if (parsed.TryGet(_config, out var config)) options = TrainingConfiguration.Overlay(options, config!);
        foreach (var setting in _settings) options = setting.Apply(options, parsed);

        return TrainingConfiguration.Checked(options);
    }

    private TrainingRun RunOf(ParseResult parsed, RunFile? resumed) => new()
    {
        Output = parsed.GetValue(_out) ?? parsed.GetValue(_resume) ?? TrainingConfiguration.FreeFolder("runs", PresetName(parsed)),
        Data = parsed.GetValue(_data) is { Length: > 0 } data ? data : resumed?.Data ?? [],
        Tokenizer = parsed.GetValue(_tokenizer) ?? resumed?.Tokenizer,
        Resume = resumed is not null,
        Force = parsed.GetValue(_force),
        Trace = parsed.GetValue(_trace),
        Threads = parsed.TryGet(_threads, out var threads) ? threads : resumed?.Threads,
    };

    private string PresetName(ParseResult parsed) => parsed.GetValue(_preset) ?? "default";
}
