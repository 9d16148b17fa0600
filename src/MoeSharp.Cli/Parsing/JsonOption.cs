using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary><c>--json [FILE]</c>: one JSON object, to a file or to the output.</summary>
internal static class JsonOption
{
    public static ToolOption<string> Create()
    {
        var option = ToolOption.Of("--json", "[FILE]", ValueKind.Text, "write one JSON object, to a file or, without one, to the output");
        option.Arity = ArgumentArity.ZeroOrOne;
        return option;
    }

    /// <summary>Whether JSON is asked for, and the file that it goes to, which can be written; null for the output.</summary>
    public static (bool IsAsked, string? File) Read(ParseResult parsed, ToolOption<string> option)
    {
        var result = parsed.GetResult(option);
        string? file = result is { Tokens.Count: > 0 } ? parsed.GetValue(option) : null;
        if (file is not null) AtomicFile.Check(file);
        return (result is not null, file);
    }

    /// <summary>Writes the object where it goes: to a file, or without one to the output.</summary>
    public static void Write<T>(Surroundings surroundings, string? file, T value, JsonTypeInfo<T> type)
    {
        string text = JsonSerializer.Serialize(value, type);
        if (file is null) surroundings.Output.WriteLine(text);
        else AtomicFile.WriteAllText(file, text + "\n");
    }
}
