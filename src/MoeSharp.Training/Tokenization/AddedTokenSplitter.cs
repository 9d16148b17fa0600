using System.Buffers;
using System.Globalization;
using System.Text;

namespace MoeSharp.Training;

/// <summary>A piece of a text: an added token, or what stands between two of them.</summary>
internal readonly record struct TextPiece(int Start, int Length, int? TokenId);

/// <summary>Finds added tokens in a text: leftmost first, of several at one place the longest, as <c>added_vocabulary.rs</c> upstream.</summary>
internal sealed class AddedTokenSplitter
{
    private readonly AddedToken[] _longestFirst;
    private readonly SearchValues<string> _contents;

    public AddedTokenSplitter(IEnumerable<AddedToken> tokens)
    {
        _longestFirst = [.. tokens.OrderByDescending(token => token.Content.Length)];
        _contents = SearchValues.Create([.. _longestFirst.Select(token => token.Content)], StringComparison.Ordinal);
    }

    /// <summary>The pieces, which together cover the text.</summary>
    public IEnumerable<TextPiece> Split(string text)
    {
        var done = 0;

        for (var from = 0; Find(text, from) is { } match; from = match.At + match.Token.Content.Length)
        {
            var (token, start) = match;
            var end = start + token.Content.Length;
            if (token.IsSingleWord && IsInsideWord(text, start, end)) continue;

            if (token.StripsLeft) start = Math.Max(done, text.AsSpan(0, start).TrimEnd().Length);
            if (token.StripsRight) end = text.Length - text.AsSpan(end).TrimStart().Length;

            if (done < start) yield return new(done, start - done, null);
            yield return new(start, end - start, token.Id);
            done = end;
        }

        if (done < text.Length) yield return new(done, text.Length - done, null);
    }

    private (AddedToken Token, int At)? Find(string text, int from)
    {
        if (from >= text.Length || text.AsSpan(from).IndexOfAny(_contents) is not (>= 0 and var distance)) return null;

        var at = from + distance;
        return (Array.Find(_longestFirst, token => text.AsSpan(at).StartsWith(token.Content, StringComparison.Ordinal))!, at);
    }

    private static bool IsInsideWord(string text, int start, int end)
    {
        Rune.DecodeLastFromUtf16(text.AsSpan(0, start), out var before, out var beforeUnits);
        Rune.DecodeFromUtf16(text.AsSpan(end), out var after, out var afterUnits);
        return (beforeUnits > 0 && IsWordCharacter(before)) || (afterUnits > 0 && IsWordCharacter(after));
    }

    private static bool IsWordCharacter(Rune rune) => Rune.GetUnicodeCategory(rune)
        is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
}
