using System.Diagnostics;
using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

public sealed class CompletionsTests : IDisposable
{
    private const string Bash = "/usr/bin/bash";

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("bash", "complete -o default -F _moesharp moesharp")]
    [InlineData("zsh", "#compdef moesharp")]
    [InlineData("fish", "complete -c moesharp")]
    [InlineData("pwsh", "Register-ArgumentCompleter -Native -CommandName moesharp")]
    [InlineData("nushell", "$env.config.completions.external.completer")]
    public void Completions_OfEachShell_RegistersAScriptThatAsksTheTool(string shell, string registration)
    {
        var tool = CapturedTool.Run("completions", shell);

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.Contains(registration, tool.Output, StringComparison.Ordinal);
        Assert.Contains("[suggest:", tool.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("moesharp tr", "trace train")]
    [InlineData("moesharp inspect --", "--help --json --layer --tensors --verbose")]
    [InlineData("moesharp train --ba", "--backend --balance --balance-scope --balance-scores --batch-size")]
    [InlineData("moesharp train --balance ", "bias loss none")]
    [InlineData("moesharp kernels --dump ", "matmul.bf16.avx512.asm outer.bf16.avx512.asm")]
    [InlineData("moesharp completions z", "zsh")]
    public void Completions_InBash_OffersWhatMayComeNext(string line, string candidates)
    {
        Assert.SkipUnless(File.Exists(Bash), "There is no bash.");
        var script = _folder.File("moesharp.bash");
        File.WriteAllText(script, CapturedTool.Run("completions", "bash").Output);

        Assert.Equal(candidates.Split(' '), Complete(script, line).Order(StringComparer.Ordinal));
    }

    public void Dispose() => _folder.Dispose();

    private static string[] Complete(string script, string line)
    {
        const string Commands = """
            moesharp() { dotnet exec "$TOOL" "$@"; }
            source "$SCRIPT"
            COMP_POINT=${#COMP_LINE} COMP_WORDS=($COMP_LINE)
            [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _moesharp
            printf '%s\n' "${COMPREPLY[@]}"
            """;
        var start = new ProcessStartInfo(Bash, ["--norc", "-c", Commands]) { RedirectStandardOutput = true };
        start.Environment["TOOL"] = Path.Combine(AppContext.BaseDirectory, "MoeSharp.Cli.dll");
        start.Environment["SCRIPT"] = script;
        start.Environment["COMP_LINE"] = line;
        using var process = Process.Start(start)!; // null only when a shell opens a document

        return process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
