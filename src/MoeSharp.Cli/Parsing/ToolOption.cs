using System.CommandLine;
using System.CommandLine.Parsing;

namespace MoeSharp.Cli;

/// <summary>What help says about an option beyond its name and description.</summary>
internal interface IDocumentedOption
{
    /// <summary>The value that holds when the option is not given, as text; null when there is none to show.</summary>
    string? ShownDefault { get; }

    /// <summary>Whether a value may look like an option: prompts and texts.</summary>
    bool IsFreeText { get; }
}

/// <summary>An option with its value's name, kind and default in help, and one clear message for a wrong value.</summary>
internal sealed class ToolOption<T> : Option<T>, IDocumentedOption
{
    public ToolOption(string name, string valueName, string description)
        : base(name)
    {
        Description = description;
        HelpName = valueName;
    }

    public string? ShownDefault { get; init; }

    public bool IsFreeText { get; init; }
}

/// <summary>Makes the options of our commands.</summary>
internal static class ToolOption
{
    public static ToolOption<bool> Flag(string name, string description) => new(name, "", description) { Arity = ArgumentArity.Zero };

    public static ToolOption<T> Of<T>(string name, string valueName, ValueKind<T> kind, string description, string? shownDefault = null, bool isFreeText = false)
    {
        var option = new ToolOption<T>(name, valueName, description) { ShownDefault = shownDefault, IsFreeText = isFreeText, CustomParser = result => Read(result, name, kind) };
        option.CompletionSources.Clear(); // the library would offer enums in C# spelling too
        if (kind.Words.Count > 0) option.CompletionSources.Add([.. kind.Words]);

        return option;
    }

    /// <summary>An option that can be given without a value, which means true.</summary>
    public static ToolOption<bool> Switch(string name, string description, string? shownDefault)
    {
        var option = Of(name, "[true|false]", ValueKind.Switch, description, shownDefault);
        option.Arity = ArgumentArity.ZeroOrOne;
        return option;
    }

    /// <summary>One or more paths, also by repeating the option.</summary>
    public static ToolOption<string[]> Paths(string name, string description, string? shownDefault = null) =>
        new(name, "PATH...", description) { ShownDefault = shownDefault, Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = true };

    /// <summary>The value the user gave; false when the option is absent.</summary>
    public static bool TryGet<T>(this ParseResult parsed, Option<T> option, out T? value)
    {
        var isGiven = parsed.GetResult(option) is { Implicit: false };
        value = isGiven ? parsed.GetValue(option) : default;
        return isGiven;
    }

    private static T? Read<T>(ArgumentResult result, string name, ValueKind<T> kind)
    {
        var given = result.Tokens.Select(token => token.Value).DefaultIfEmpty("true"); // only a switch may come without a value
        var text = result.Argument.Arity.MaximumNumberOfValues > 1 ? string.Join(' ', given) : given.Last();
        if (kind.Parse(text, out var value)) return value;

        result.AddError($"{name} is '{text}'; expected {kind.Expected}.");
        return default;
    }
}
