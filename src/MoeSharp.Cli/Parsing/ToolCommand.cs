using System.CommandLine;
using System.CommandLine.Invocation;

namespace MoeSharp.Cli;

/// <summary>What help says about a command beyond its name, description and options.</summary>
internal interface IDocumentedCommand
{
    IReadOnlyList<string> Examples { get; }

    IReadOnlyList<OptionGroup> Groups { get; }

    /// <summary>What a user should know before the options; null for nothing.</summary>
    string? Note { get; }
}

/// <summary>Options that help shows together.</summary>
internal sealed record OptionGroup(string Title, IReadOnlyList<Option> Options);

/// <summary>A command whose help groups the options and ends in examples.</summary>
internal sealed class ToolCommand(string name, string description) : Command(name, description), IDocumentedCommand
{
    private readonly List<OptionGroup> _groups = [];

    public required IReadOnlyList<string> Examples { get; init; }

    public IReadOnlyList<OptionGroup> Groups => _groups;

    public string? Note { get; init; }

    public void Add(string title, params IReadOnlyList<Option> options)
    {
        _groups.Add(new(title, options));
        foreach (var option in options) Add(option);
    }

    /// <summary>What the command does; returns the exit code.</summary>
    public void Does(Func<ParseResult, int> work) => Action = new ToolCommandAction(work);
}

/// <summary>The tool itself.</summary>
internal sealed class ToolRoot(string description) : RootCommand(description), IDocumentedCommand
{
    public required IReadOnlyList<string> Examples { get; init; }

    public IReadOnlyList<OptionGroup> Groups => [];

    public string Note => "Exit codes: 0 done, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C.";
}

/// <summary>The work of a command, told apart from help, version and completions, which need no valid command line.</summary>
internal sealed class ToolCommandAction(Func<ParseResult, int> work) : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult) => work(parseResult);
}
