using System.Text.Json;
using System.Text.RegularExpressions;

namespace MoeSharp.Training;

/// <summary>
/// Reads the <c>pre_tokenizer</c> of tokenizer.json: <c>ByteLevel</c>, alone or behind <c>Split</c> and <c>Digits</c> (Llama 3, Qwen, DeepSeek).
/// </summary>
internal static class PreTokenizerJson
{
    public static (WordSplitter Splitter, bool AddsPrefixSpace) Read(TokenizerFields fields, JsonElement root)
    {
        var parts = TokenizerFields.Sequence(root, "pre_tokenizer", "pretokenizers").ToList();
        var last = parts.Count == 0 ? null : TokenizerFields.Text(parts[^1], "type");
        if (last != "ByteLevel") throw fields.Unsupported("pre_tokenizer", last, "ByteLevel, alone or last in a Sequence");

        var addsPrefixSpace = TokenizerFields.Flag(parts[^1], "add_prefix_space", whenMissing: true);
        if (addsPrefixSpace && parts.Count > 1)
        {
            throw fields.Unsupported("pre_tokenizer.add_prefix_space", "true", "false where words are split before");
        }

        var splitters = parts.Select(part => Splitter(fields, part)).OfType<WordSplitter>().ToList();
        return (splitters switch { [] => new WholeTextSplitter(), [var only] => only, _ => new ChainedSplitter(splitters) }, addsPrefixSpace);
    }

    private static WordSplitter? Splitter(TokenizerFields fields, JsonElement part) => TokenizerFields.Text(part, "type") switch
    {
        "ByteLevel" => TokenizerFields.Flag(part, "use_regex", whenMissing: true) ? new Gpt2Splitter() : null,
        "Split" => Split(fields, part),
        "Digits" => new RegexSplitter(TokenizerFields.Flag(part, "individual_digits") ? @"\p{N}" : @"\p{N}+"),
        var other => throw fields.Unsupported("pre_tokenizer.type", other, "ByteLevel, Split, Digits or a Sequence of them"),
    };

    private static RegexSplitter Split(TokenizerFields fields, JsonElement part)
    {
        var behavior = TokenizerFields.Text(part, "behavior");
        var isInverted = TokenizerFields.Flag(part, "invert");
        if ((behavior, isInverted) is not (("Isolated", false) or ("Removed", true)))
        {
            throw fields.Unsupported("pre_tokenizer.behavior", isInverted ? $"{behavior}, inverted" : behavior, "Isolated, not inverted");
        }

        var (pattern, isLiteral) = Pattern(part.GetProperty("pattern"));
        if (!isLiteral && PatternSyntax.Difference(pattern) is { } difference)
        {
            throw fields.Unsupported("pre_tokenizer.pattern.Regex", $"{pattern}, where .NET reads {difference} differently", "a pattern without it");
        }

        return Compile(fields, isLiteral ? Regex.Escape(pattern) : pattern, keepsGaps: behavior == "Isolated");
    }

    private static (string Pattern, bool IsLiteral) Pattern(JsonElement pattern) =>
        TokenizerFields.Text(pattern, "Regex") is { } regex ? (regex, false) : (pattern.GetProperty("String").GetString()!, true);

    private static RegexSplitter Compile(TokenizerFields fields, string pattern, bool keepsGaps)
    {
        try
        {
            return new(pattern, keepsGaps);
        }
        catch (RegexParseException error)
        {
            throw fields.Unsupported("pre_tokenizer.pattern.Regex", $"{pattern} ({error.Message})", "a pattern that .NET knows too");
        }
    }
}
