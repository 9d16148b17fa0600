namespace MoeSharp.Training;

/// <summary>What tokenizer.json says, as far as it decides ids and text.</summary>
internal sealed record TokenizerModel
{
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    /// <summary>Pairs of tokens, the one to apply first in front; no pair twice.</summary>
    public required IReadOnlyList<(string Left, string Right)> Merges { get; init; }

    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    public required WordSplitter Splitter { get; init; }

    /// <summary>Whether text is brought to Unicode's normal form C first.</summary>
    public bool Composes { get; init; }

    /// <summary>Whether a space is put in front of a text that does not start with one.</summary>
    public bool AddsPrefixSpace { get; init; }

    /// <summary>Whether a word that is a token is that token, whatever the merges would make of it.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>The token for bytes that the vocabulary lacks; null drops them.</summary>
    public string? UnknownToken { get; init; }

    public bool FusesUnknown { get; init; }
}
