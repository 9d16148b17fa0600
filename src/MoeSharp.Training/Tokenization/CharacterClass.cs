using System.Globalization;

namespace MoeSharp.Training;

/// <summary>The four classes that the pre-tokenizers of byte-level models tell apart.</summary>
internal enum CharacterClass : byte
{
    Other,
    Letter,
    Number,
    Space,
}

/// <summary>Classifies code points: <c>\p{L}</c>, <c>\p{N}</c>, <c>\s</c> (Unicode White_Space) or none of them.</summary>
internal static class CharacterClasses
{
    private static readonly CharacterClass[] BasicPlane = [.. Enumerable.Range(0, 0x10000).Select(Compute)];

    /// <summary>The class of the character that starts at a position, and how many UTF-16 units it takes: 2 for a surrogate pair.</summary>
    public static CharacterClass At(ReadOnlySpan<char> text, int index, out int units)
    {
        var unit = text[index];
        units = 1;
        if (!char.IsHighSurrogate(unit) || index + 1 == text.Length || !char.IsLowSurrogate(text[index + 1])) return BasicPlane[unit];

        units = 2;
        return Compute(char.ConvertToUtf32(unit, text[index + 1]));
    }

    private static CharacterClass Compute(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
    {
        <= UnicodeCategory.OtherLetter => CharacterClass.Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
        _ when codePoint < 0x10000 && char.IsWhiteSpace((char)codePoint) => CharacterClass.Space,
        _ => CharacterClass.Other,
    };
}
