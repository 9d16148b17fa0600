namespace MoeSharp.Training;

/// <summary>
/// GPT-2's word pattern, <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>, as a hand-written scan:
/// ten times as fast as .NET's regular expressions, and right about characters beyond U+FFFF, which those see as two surrogates
/// (an old Persian letter is a letter here, as in Hugging Face tokenizers).
/// </summary>
internal sealed class Gpt2Splitter : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, int offset, List<Word> words)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = EndOfWord(text, start);
            words.Add(new(start + offset, end - start));
            start = end;
        }
    }

    /// <summary>Where the word that starts at <paramref name="start"/> ends.</summary>
    public static int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && Contraction(text[(start + 1)..]) is > 0 and var letters) return start + 1 + letters;

        var first = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        var kind = CharacterClasses.At(text, first, out _);

        return kind == CharacterClass.Space ? EndOfSpaces(text, start) : EndOfRun(text, first, kind);
    }

    private static int Contraction(ReadOnlySpan<char> rest) => rest switch
    {
        ['s' or 't' or 'm' or 'd', ..] => 1,
        ['r' or 'v', 'e', ..] or ['l', 'l', ..] => 2,
        _ => 0,
    };

    private static int EndOfRun(ReadOnlySpan<char> text, int index, CharacterClass kind)
    {
        while (index < text.Length && CharacterClasses.At(text, index, out var units) == kind) index += units;
        return index;
    }

    // \s+(?!\S): a run of spaces in front of a word leaves its last one to the word
    private static int EndOfSpaces(ReadOnlySpan<char> text, int start)
    {
        var end = EndOfRun(text, start, CharacterClass.Space);
        return end == text.Length || end == start + 1 ? end : end - 1;
    }
}
