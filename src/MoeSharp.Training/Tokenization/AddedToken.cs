namespace MoeSharp.Training;

/// <summary>A token that is cut out of the text as a whole, before words and merges; an entry of <c>added_tokens</c> in tokenizer.json.</summary>
internal sealed record AddedToken(int Id, string Content)
{
    /// <summary>Steers the model (an end of text, a role) instead of standing for text.</summary>
    public bool IsSpecial { get; init; }

    /// <summary>Looked for after the text is normalized, not before.</summary>
    public bool IsNormalized { get; init; }

    /// <summary>Takes the white space in front of it along.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Takes the white space behind it along.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Counts only where it is not part of a longer word.</summary>
    public bool IsSingleWord { get; init; }
}
