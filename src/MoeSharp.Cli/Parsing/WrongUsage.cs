using System.CommandLine;
using System.CommandLine.Parsing;

namespace MoeSharp.Cli;

/// <summary>Finds the one thing to say about a command line that cannot be run: the first mistake, not what follows from it.</summary>
internal static class WrongUsage
{
    /// <summary>The message; null when the command line is right.</summary>
    public static string? Of(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;

        return UnknownWord(parsed, command) ?? MissingCommand(command) ?? MissingValue(parsed) ?? MissingPart(parsed, command) ?? (parsed.Errors.Count > 0 ? parsed.Errors[0].Message : null);
    }

    private static string? UnknownWord(ParseResult parsed, Command command)
    {
        // an option that takes several values swallows words that only look like options
        var swallowed = parsed.CommandResult.Children
            .Where(child => child is not OptionResult { Option: IDocumentedOption { IsFreeText: true } })
            .SelectMany(child => child.Tokens)
            .Select(token => token.Value);
        var word = swallowed.Concat(parsed.UnmatchedTokens).FirstOrDefault(value => value.StartsWith("--", StringComparison.Ordinal) && value.Length > 2)
            ?? (parsed.UnmatchedTokens is [var first, ..] ? first : null);
        if (word is null) return null;

        var name = word.Split('=')[0];
        if (name.StartsWith('-')) return $"Unknown option '{name}'.{ClosestName.Hint(name, OptionNames(command))}";
        if (command.Subcommands.Count > 0) return $"Unknown command '{word}'.{ClosestName.Hint(word, command.Subcommands.Select(sub => sub.Name))}";

        return $"'{word}' is one word too many. Usage: {HelpPage.Usage(command)}";
    }

    private static IEnumerable<string> OptionNames(Command command) =>
        HelpPage.Lineage(command).SelectMany(ancestor => ancestor == command ? ancestor.Options : ancestor.Options.Where(option => option.Recursive)).Select(option => option.Name);

    private static string? MissingCommand(Command command) =>
        command.Subcommands.Count == 0 ? null : $"Which command? {HelpPage.PathOf(command)} has {string.Join(", ", command.Subcommands.Select(sub => sub.Name))}.";

    private static string? MissingValue(ParseResult parsed)
    {
        var option = parsed.CommandResult.Children.OfType<OptionResult>()
            .FirstOrDefault(result => !result.Implicit && result.Tokens.Count < result.Option.Arity.MinimumNumberOfValues)?.Option;

        return option is null ? null : $"{option.Name} needs a value: {option.Name} {option.HelpName}.";
    }

    private static string? MissingPart(ParseResult parsed, Command command)
    {
        var missing = command.Arguments
            .Where(argument => argument.Arity.MinimumNumberOfValues > (parsed.GetResult(argument)?.Tokens.Count ?? 0))
            .Select(argument => argument.HelpName ?? argument.Name)
            .Concat(command.Options.Where(option => option.Required && parsed.GetResult(option) is null or { Implicit: true }).Select(option => $"{option.Name} {option.HelpName}"))
            .ToArray();

        return missing.Length == 0 ? null : $"{string.Join(" and ", missing)} {(missing.Length == 1 ? "is" : "are")} missing. Usage: {HelpPage.Usage(command)}";
    }
}
