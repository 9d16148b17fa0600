using System.CommandLine;
using System.CommandLine.Invocation;

namespace MoeSharp.Cli;

/// <summary>The page of <c>--help</c>: purpose, usage, what the command takes in groups, examples.</summary>
internal sealed class HelpPage(int width) : SynchronousCommandLineAction
{
    private const int WidestLabel = 34;

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        Write(parseResult.CommandResult.Command, parseResult.InvocationConfiguration.Output);
        return ExitCode.Success;
    }

    /// <summary><c>moesharp tokenizer train</c>.</summary>
    public static string PathOf(Command command) => string.Join(' ', Lineage(command).Reverse().Select(ancestor => ancestor is RootCommand ? "moesharp" : ancestor.Name));

    /// <summary>The command and what it is part of, innermost first.</summary>
    public static IEnumerable<Command> Lineage(Command command)
    {
        for (var current = command; current is not null; current = current.Parents.OfType<Command>().FirstOrDefault()) yield return current;
    }

    public static string Usage(Command command)
    {
        List<string> parts = [PathOf(command), .. command.Arguments.Select(argument => argument.HelpName ?? argument.Name)];
        if (command.Subcommands.Count > 0) parts.Add("COMMAND");
        parts.AddRange(command.Options.Where(option => option.Required).Select(option => $"{option.Name} {option.HelpName}"));

        return $"{string.Join(' ', parts)} [options]";
    }

    private void Write(Command command, TextWriter output)
    {
        var groups = (command as IDocumentedCommand)?.Groups ?? [];
        var grouped = groups.SelectMany(group => group.Options).ToHashSet();
        var inherited = Lineage(command).Skip(1).SelectMany(ancestor => ancestor.Options).Where(option => option.Recursive);
        var others = command.Options.Where(option => !grouped.Contains(option)).Concat(inherited).DistinctBy(option => option.Name).OrderBy(option => option.Name, StringComparer.Ordinal);

        output.WriteLine(command.Description);
        output.WriteLine();
        output.WriteLine($"Usage: {Usage(command)}");
        WriteNote((command as IDocumentedCommand)?.Note, output);
        WriteSection("Commands", command.Subcommands.Select(sub => (sub.Name, sub.Description ?? "")), output);
        WriteSection("Arguments", command.Arguments.Select(argument => (argument.HelpName ?? argument.Name, argument.Description ?? "")), output);
        foreach (var group in groups) WriteSection(group.Title, group.Options.Select(Row), output);
        WriteSection("Other options", others.Select(Row), output);
        WriteExamples((command as IDocumentedCommand)?.Examples ?? [], output);
    }

    private static (string Label, string Text) Row(Option option)
    {
        var label = $"{option.Name} {option.HelpName}".TrimEnd();
        var value = (option as IDocumentedOption)?.ShownDefault;

        return (label, value is null ? option.Description ?? "" : $"{option.Description} [{value}]");
    }

    private void WriteNote(string? note, TextWriter output)
    {
        if (note is null) return;

        output.WriteLine();
        foreach (var line in Wrap(note, width)) output.WriteLine(line);
    }

    private void WriteSection(string title, IEnumerable<(string Label, string Text)> rows, TextWriter output)
    {
        var lines = rows.ToArray();
        if (lines.Length == 0) return;

        var column = Math.Min(lines.Max(row => row.Label.Length), WidestLabel) + 4;
        output.WriteLine();
        output.WriteLine($"{title}:");
        foreach (var (label, text) in lines)
        {
            var wrapped = Wrap(text, width - column);
            var fits = label.Length + 4 <= column; // else the text begins below
            output.WriteLine(fits ? $"  {label}".PadRight(column) + wrapped[0] : $"  {label}");
            foreach (var line in wrapped.Skip(fits ? 1 : 0)) output.WriteLine(new string(' ', column) + line);
        }
    }

    private static void WriteExamples(IReadOnlyList<string> examples, TextWriter output)
    {
        output.WriteLine();
        output.WriteLine("Examples:");
        foreach (var example in examples) output.WriteLine($"  {example}");
    }

    private static List<string> Wrap(string text, int width)
    {
        List<string> lines = [""];
        foreach (var word in text.Split(' '))
        {
            if (lines[^1].Length > 0 && lines[^1].Length + 1 + word.Length > width) lines.Add("");
            lines[^1] += lines[^1].Length == 0 ? word : $" {word}";
        }

        return lines;
    }
}
