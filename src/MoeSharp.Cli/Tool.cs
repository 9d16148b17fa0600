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
    private readonly ToolOption<bool> _verbose = ToolOption.Flag("--verbose", "show every tensor that verify compares, and where an error came from");

    public Tool(Surroundings surroundings)
    {
        _surroundings = surroundings;
        Root = new("Train, sample and verify Mixture-of-Experts language models.")
        {
            Examples = ["moesharp train", "moesharp generate runs/default --prompt \"Returns the\"", "moesharp train --help"],
        };
        Root.Add(TrainCommand.Create(surroundings));
        Root.Add(GenerateCommand.Create(surroundings));
        Root.Add(VerifyCommand.Create(surroundings, _verbose));
        Root.Add(InspectCommand.Create(surroundings));
        Root.Add(ConvertCommand.Create(surroundings));
        Root.Add(TraceCommand.Create(surroundings));
        Root.Add(PlotLoadCommand.Create(surroundings));
        Root.Add(TokenizerCommand.Create(surroundings));
        Root.Add(BenchCommand.Create(surroundings));
        Root.Add(KernelsCommand.Create(surroundings));
        Root.Add(CompletionsCommand.Create(surroundings));

        _verbose.Recursive = true;
        Root.Add(_verbose);
        foreach (var option in Root.Options)
        {
            if (option is HelpOption) Describe(option, new HelpPage(surroundings.Width), "show what a command does and takes");
            if (option is VersionOption) Describe(option, new VersionReport(), "show the versions of everything that computes");
        }
    }

    internal ToolRoot Root { get; }

    private static void Describe(Option option, CommandLineAction action, string description)
    {
        (option.Action, option.Description) = (action, description);
        option.Aliases.Clear(); // -?, /? and /h would be offered as completions
    }

    public int Run(IReadOnlyList<string> args)
    {
        var parsed = Root.Parse(args, Parser);
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
