namespace MoeSharp.Cli;

/// <summary>How the user started this process, so that suggested commands can be copied as they are.</summary>
internal static class ToolCommandLine
{
    /// <summary><c>moesharp</c> when installed, the <c>dotnet run</c> form when built in a checkout.</summary>
    public static string OfProcess() => For(AppContext.BaseDirectory, Environment.CurrentDirectory);

    internal static string For(string programFolder, string currentFolder)
    {
        for (var folder = new DirectoryInfo(programFolder); folder is not null; folder = folder.Parent)
        {
            if (!File.Exists(Path.Combine(folder.FullName, "MoeSharp.slnx"))) continue;

            var project = Path.GetRelativePath(currentFolder, Path.Combine(folder.FullName, "src", "MoeSharp.Cli"));
            return $"dotnet run -c Release --project {Quote(project)} --";
        }

        return "moesharp";
    }

    /// <summary>An argument as a POSIX shell needs it.</summary>
    public static string Quote(string argument)
    {
        var isPlain = argument.Length > 0 && argument.All(character => char.IsAsciiLetterOrDigit(character) || "-_./:=,+@%".Contains(character));

        return isPlain ? argument : $"'{argument.Replace("'", @"'\''", StringComparison.Ordinal)}'";
    }
}
