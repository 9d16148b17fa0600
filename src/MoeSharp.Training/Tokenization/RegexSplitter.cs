using System.Globalization;
using System.Text.RegularExpressions;

namespace MoeSharp.Training;

/// <summary>
/// Cuts a text at the matches of a pattern from tokenizer.json (<c>Split</c>, behavior <c>Isolated</c>): each match is a word, and so is
/// what lies between two. Upstream matches code points, .NET matches UTF-16 units; so characters beyond U+FFFF are matched as a stand-in
/// of the same Unicode category.
/// </summary>
internal sealed class RegexSplitter : WordSplitter
{
    // Rare characters of each category: patterns name scripts such as Han and Kana in ranges, none of these.
    private static readonly Dictionary<UnicodeCategory, char> StandIns = new()
    {
        [UnicodeCategory.UppercaseLetter] = 'Ꙁ',
        [UnicodeCategory.LowercaseLetter] = 'ꙁ',
        [UnicodeCategory.TitlecaseLetter] = 'ᾈ',
        [UnicodeCategory.ModifierLetter] = 'ꓸ',
        [UnicodeCategory.OtherLetter] = 'ꀀ',
        [UnicodeCategory.NonSpacingMark] = '\uA66F',
        [UnicodeCategory.SpacingCombiningMark] = '\uA823',
        [UnicodeCategory.EnclosingMark] = '\uA670',
        [UnicodeCategory.DecimalDigitNumber] = '꘠',
        [UnicodeCategory.LetterNumber] = 'ꛦ',
        [UnicodeCategory.OtherNumber] = '꠰',
        [UnicodeCategory.ConnectorPunctuation] = '︳',
        [UnicodeCategory.DashPunctuation] = '︱',
        [UnicodeCategory.OpenPunctuation] = '︵',
        [UnicodeCategory.ClosePunctuation] = '︶',
        [UnicodeCategory.OtherPunctuation] = '꓾',
        [UnicodeCategory.MathSymbol] = '⨀',
        [UnicodeCategory.CurrencySymbol] = '꠸',
        [UnicodeCategory.ModifierSymbol] = '꜀',
        [UnicodeCategory.OtherSymbol] = '꒐',
        [UnicodeCategory.Format] = '\uFFF9',
        [UnicodeCategory.Control] = '\u0086',
        [UnicodeCategory.PrivateUse] = '\uE000',
        [UnicodeCategory.OtherNotAssigned] = '\uFFFE',
    };

    private readonly Regex _pattern;
    private readonly bool _keepsGaps;
    private readonly bool _foldsLongS;

    /// <param name="pattern">The pattern, in the syntax that both engines share.</param>
    /// <param name="keepsGaps">Whether text between matches is kept as words (<c>Isolated</c>) or dropped (<c>Removed</c>, inverted).</param>
    /// <exception cref="RegexParseException">.NET does not know the syntax.</exception>
    public RegexSplitter(string pattern, bool keepsGaps = true)
    {
        _pattern = new(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant);
        _keepsGaps = keepsGaps;
        _foldsLongS = pattern.Contains("(?i", StringComparison.Ordinal);
    }

    public override void Split(ReadOnlySpan<char> text, int offset, List<Word> words)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF') && !(_foldsLongS && text.Contains('ſ')))
        {
            Split(text, words, (start, length) => new(start + offset, length));
            return;
        }

        var characters = new char[text.Length];
        var positions = new int[text.Length + 1];
        var count = Project(text, characters, positions);
        Split(
            characters.AsSpan(0, count),
            words,
            (start, length) => new(positions[start] + offset, positions[start + length] - positions[start]));
    }

    private void Split(ReadOnlySpan<char> text, List<Word> words, Func<int, int, Word> wordAt)
    {
        var done = 0;

        foreach (var match in _pattern.EnumerateMatches(text))
        {
            if (match.Length == 0) continue;
            if (_keepsGaps && match.Index > done) words.Add(wordAt(done, match.Index - done));
            words.Add(wordAt(match.Index, match.Length));
            done = match.Index + match.Length;
        }

        if (_keepsGaps && done < text.Length) words.Add(wordAt(done, text.Length - done));
    }

    // One character per code point, and where each one starts in the text.
    private int Project(ReadOnlySpan<char> text, char[] characters, int[] positions)
    {
        var count = 0;

        for (var i = 0; i < text.Length; i++)
        {
            positions[count] = i;
            var unit = text[i];
            if (char.IsHighSurrogate(unit)) unit = StandIns[CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(unit, text[++i]))];

            // upstream's (?i:'s) takes the long s too, .NET's does not
            characters[count++] = _foldsLongS && unit == 'ſ' ? 's' : unit;
        }

        positions[count] = text.Length;
        return count;
    }
}
