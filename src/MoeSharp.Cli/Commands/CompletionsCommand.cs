using System.CommandLine;

namespace MoeSharp.Cli;

/// <summary><c>moesharp completions SHELL</c>: prints a script that lets a shell ask the tool what may come next (the suggest directive).</summary>
internal static class CompletionsCommand
{
    private static readonly string[] Shells = ["bash", "zsh", "fish", "pwsh", "nushell"];

    public static ToolCommand Create(Surroundings surroundings)
    {
        var shell = new Argument<string>("shell") { HelpName = "SHELL", Description = $"one of {string.Join(", ", Shells)}" };
        shell.CompletionSources.Add(Shells);
        var command = new ToolCommand("completions", "Print the completion script of a shell.")
        {
            Examples =
            [
                "moesharp completions bash > ~/.local/share/bash-completion/completions/moesharp",
                "moesharp completions zsh > \"${fpath[1]}/_moesharp\"",
                "moesharp completions pwsh | Out-String | Invoke-Expression",
            ],
        };
        command.Add(shell);
        command.Does(parsed =>
        {
            surroundings.Output.Write(Script(parsed.GetRequiredValue(shell)));
            return ExitCode.Success;
        });
        return command;
    }

    private static string Script(string shell)
    {
        if (!Shells.Contains(shell)) throw new UsageException($"Unknown shell '{shell}'.{ClosestName.Hint(shell, Shells)} Shells: {string.Join(", ", Shells)}.");

        return EmbeddedFile.ReadText($"moesharp.{shell}");
    }
}
