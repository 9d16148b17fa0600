using System.CommandLine;
using System.CommandLine.Parsing;

namespace MoeSharp.Cli;

/// <summary>Finds the one thing to say about a command line that cannot be run: the first mistake, not what follows from it.</summary>
internal static class WrongUsage
{
    private static readonly string[] HelpWords = ["-h", "-?", "-help", "/?", "/h", "help"];

    /// <summary>The message; null when the command line is right.</summary>
    public static string? Of(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;

        return MissingValue(parsed, command) ?? WrongSwitch(parsed, command) ?? UnknownWord(parsed, command) ?? MissingCommand(command) ?? MissingPart(parsed, command) ?? Repeated(parsed)
            ?? (parsed.Errors.Count > 0 ? parsed.Errors[0].Message : null);
    }

    private static string? UnknownWord(ParseResult parsed, Command command)
    {
        // an option that takes several values swallows words that only look like options
        var swallowed = parsed.CommandResult.Children
            .Where(child => child is not OptionResult { Option: IDocumentedOption { IsFreeText: true } })
            .SelectMany(child => child.Tokens)
            .Select(token => token.Value);
        var word = swallowed.Concat(parsed.UnmatchedTokens).FirstOrDefault(value => value.StartsWith("--", StringComparison.Ordinal) && value.Length > 2 || value is "-h" or "-?")
            ?? (parsed.UnmatchedTokens is [var first, ..] ? first : null);
        if (word is null) return null;

        if (HelpWords.Contains(word)) return $"Unknown {(word == "help" ? "command" : "option")} '{word}'. Did you mean '--help'?";

        var name = NameIn(word);
        if (name.StartsWith('-')) return $"Unknown option '{name}'.{ClosestName.Hint(name, Options(command).Select(option => option.Name))}";
        if (command.Subcommands.Count > 0) return $"Unknown command '{word}'.{ClosestName.Hint(word, command.Subcommands.Select(sub => sub.Name))}";

        return $"'{word}' is one word too many. Usage: {HelpPage.Usage(command)}";
    }

    private static string NameIn(string word) => word.Split('=')[0];

    private static IEnumerable<Option> Options(Command command) =>
        HelpPage.Lineage(command).SelectMany(ancestor => ancestor == command ? ancestor.Options : ancestor.Options.Where(option => option.Recursive));

    /// <summary>The options as they are given, each with the word after it; null where it is an option too, or where none follows.</summary>
    private static IEnumerable<(Option Option, string? Word)> Given(ParseResult parsed, Command command)
    {
        var options = Options(command).ToArray();
        for (int i = 0; i < parsed.Tokens.Count; i++)
        {
            var (token, next) = (parsed.Tokens[i], parsed.Tokens.ElementAtOrDefault(i + 1));
            if (token.Type == TokenType.Option && options.FirstOrDefault(option => option.Name == token.Value) is { } option) yield return (option, next is { Type: TokenType.Argument } ? next.Value : null);
        }
    }

    private static string? MissingCommand(Command command) =>
        command.Subcommands.Count == 0 ? null : $"Which command? {HelpPage.PathOf(command)} has {string.Join(", ", command.Subcommands.Select(sub => sub.Name))}.";

    // an option that needs a value takes the name of another for it
    private static string? MissingValue(ParseResult parsed, Command command)
    {
        var option = Given(parsed, command)
            .FirstOrDefault(given => given.Option.Arity.MinimumNumberOfValues > 0 && (given.Word is null || given.Option is not IDocumentedOption { IsFreeText: true } && IsOption(given.Word))).Option;

        return option is null ? null : $"{option.Name} needs a value: {option.Name} {option.HelpName}.";

        bool IsOption(string word) => Options(command).Any(known => known.Name == NameIn(word));
    }

    // a switch takes no other words than its own
    private static string? WrongSwitch(ParseResult parsed, Command command)
    {
        var (option, word) = Given(parsed, command)
            .FirstOrDefault(given => given is { Option: Option<bool> { Arity.MaximumNumberOfValues: 1 }, Word: { } word } && !word.StartsWith('-') && parsed.UnmatchedTokens.Contains(word));

        return option is null ? null : $"{option.Name} is '{word}'; expected {ValueKind.Switch.Expected}.";
    }

    private static string? Repeated(ParseResult parsed)
    {
        var repeated = parsed.CommandResult.Children.OfType<OptionResult>().FirstOrDefault(result => result.Option.Arity.MaximumNumberOfValues == 1 && result.Tokens.Count > 1);

        return repeated is null ? null : $"{repeated.Option.Name} is given {repeated.IdentifierTokenCount} times; expected once.";
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
