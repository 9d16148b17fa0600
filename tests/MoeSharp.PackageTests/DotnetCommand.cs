using System.Diagnostics;

namespace MoeSharp.Package.Tests;

/// <summary>Runs a command to its end and returns what it printed; a failure shows all of it.</summary>
internal static class DotnetCommand
{
    public static string Run(string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        Execute("dotnet", folder, environment, arguments);

    public static string Execute(string program, string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;

        using var process = Process.Start(start)!;   // null only with UseShellExecute
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.True(process.ExitCode == 0, $"'{program} {string.Join(' ', arguments)}' in {folder} exited with {process.ExitCode}:\n{output}\n{errors.Result}");
        return output;
    }
}
