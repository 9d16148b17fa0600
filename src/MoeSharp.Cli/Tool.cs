using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace MoeSharp.Cli;

/// <summary>The whole tool: parses, runs a command, and turns every outcome into an exit code and at most one message.</summary>
internal sealed class Tool
{
    // no response files: a prompt may start with @; no bundling: there are no one-letter options
    private static readonly ParserConfiguration Parser = new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };

    private readonly Surroundings _surroundings;
    private readonly ToolOption<bool> _verbose = ToolOption.Flag("--verbose", "show more, such as where an error came from");
    private readonly (string Name, Func<ToolCommand> Create)[] _commands;

    public Tool(Surroundings surroundings)
    {
        _surroundings = surroundings;
        _verbose.Recursive = true;
        _commands =
        [
            ("train", () => TrainCommand.Create(surroundings)),
            ("generate", () => GenerateCommand.Create(surroundings)),
            ("verify", () => VerifyCommand.Create(surroundings, _verbose)),
            ("inspect", () => InspectCommand.Create(surroundings)),
            ("convert", () => ConvertCommand.Create(surroundings)),
            ("trace", () => TraceCommand.Create(surroundings)),
            ("plot-load", () => PlotLoadCommand.Create(surroundings)),
            ("tokenizer", () => TokenizerCommand.Create(surroundings)),
            ("bench", () => BenchCommand.Create(surroundings)),
            ("kernels", () => KernelsCommand.Create(surroundings)),
            ("completions", () => CompletionsCommand.Create(surroundings)),
        ];
    }

    /// <summary>
    /// The tool with the command that a command line names alone, whose options are all it needs; with all commands where it names none, for
    /// help, completions and suggestions. To make all takes a fifth of a second, which is most of what a short command takes.
    /// </summary>
    private ToolRoot RootFor(IReadOnlyList<string> args)
    {
        var root = new ToolRoot("Train, sample and verify Mixture-of-Experts language models.")
        {
            Examples = ["moesharp train", "moesharp generate runs/default --prompt \"Returns the\"", "moesharp train --help"],
        };
        string? first = args.FirstOrDefault(arg => !arg.StartsWith('-'));
        bool isNamed = _commands.Any(command => command.Name == first);
        foreach (var (name, create) in _commands)
        {
            if (!isNamed || name == first) root.Add(create());
        }

        root.Add(_verbose);
        foreach (var option in root.Options)
        {
            if (option is HelpOption) Describe(option, new HelpPage(_surroundings.Width), "show what a command does and takes");
            if (option is VersionOption) Describe(option, new VersionReport(), "show the versions of everything that computes");
        }

        return root;
    }

    private static void Describe(Option option, CommandLineAction action, string description)
    {
        (option.Action, option.Description) = (action, description);
        option.Aliases.Clear(); // -?, /? and /h would be offered as completions
    }

    public int Run(IReadOnlyList<string> args)
    {
        var parsed = RootFor(args).Parse(args, Parser);
        try
        {
            var isRunnable = parsed.Action is not (ParseErrorAction or ToolCommandAction or null);
            if (!isRunnable && WrongUsage.Of(parsed) is { } complaint) throw new UsageException(complaint);

            // our commands stop by themselves when asked to: no time limit that would cut a step in two
            return parsed.Invoke(new() { Output = _surroundings.Output, Error = _surroundings.Error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception error) when (Failure.Explains(error))
        {
            return Failure.Report(error, _surroundings.Error, parsed.GetValue(_verbose));
        }
    }
}
