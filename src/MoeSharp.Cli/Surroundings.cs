using Spectre.Console;

namespace MoeSharp.Cli;

/// <summary>What a command sees of the world: its streams, the terminal, how the user calls the tool, and the library that does the work.</summary>
internal sealed record Surroundings
{
    private const int PlainWidth = 100;
    private const int WidestText = 120;

    public required TextReader Input { get; init; }

    /// <summary>Where results go.</summary>
    public required TextWriter Output { get; init; }

    /// <summary>Where messages go.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>The terminal that <see cref="Output"/> is; null when it is a file, a pipe, or a terminal that cannot be drawn on.</summary>
    public IAnsiConsole? Terminal { get; init; }

    /// <summary>The width of help and tables, in characters.</summary>
    public int Width { get; init; } = PlainWidth;

    /// <summary>What the user types to run the tool.</summary>
    public string ToolName { get; init; } = "moesharp";

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public Engine Engine { get; init; } = new();

    /// <summary>The real streams of this process.</summary>
    public static Surroundings OfProcess()
    {
        var terminal = Console.IsOutputRedirected ? null : AnsiConsole.Console;
        if (terminal is { Profile.Capabilities.Ansi: false }) terminal = null;
        if (terminal is not null) PlainStyle.ApplyTo(terminal);

        return new()
        {
            Input = Console.In,
            Output = Console.Out,
            Error = Console.Error,
            Terminal = terminal,
            Width = terminal is null ? PlainWidth : Math.Clamp(terminal.Profile.Width, 40, WidestText),
            ToolName = ToolCommandLine.OfProcess(),
        };
    }
}
