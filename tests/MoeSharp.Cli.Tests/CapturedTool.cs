using Spectre.Console;

namespace MoeSharp.Cli.Tests;

/// <summary>What a run of the tool in this process wrote and returned.</summary>
internal sealed record CapturedTool(int ExitCode, string Output, string Error)
{
    public static CapturedTool Run(params string[] args) => Run(new Engine(), args);

    public static CapturedTool Run(Engine engine, params string[] args) => Run(engine, input: "", terminal: null, args);

    public static CapturedTool Run(Engine engine, string input, IAnsiConsole? terminal, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var reader = new StringReader(input);
        var surroundings = new Surroundings { Input = reader, Output = output, Error = error, Terminal = terminal, Engine = engine };

        var exitCode = new Tool(surroundings).Run(args);

        return new(exitCode, output.ToString().ReplaceLineEndings("\n"), error.ToString().ReplaceLineEndings("\n"));
    }
}
