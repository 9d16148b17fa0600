namespace MoeSharp.Training;

/// <summary>Korean syllables, which compose by arithmetic: 19 leads × 21 vowels × 28 tails (The Unicode Standard, section 3.12).</summary>
internal static class Hangul
{
    private const int Syllable = 0xAC00, Lead = 0x1100, Vowel = 0x1161, Tail = 0x11A7;
    private const int Leads = 19, Vowels = 21, Tails = 28;

    public static bool IsSyllable(int codePoint) => codePoint is >= Syllable and < Syllable + Leads * Vowels * Tails;

    public static void Decompose(int syllable, List<int> codePoints)
    {
        var index = syllable - Syllable;
        codePoints.Add(Lead + index / (Vowels * Tails));
        codePoints.Add(Vowel + index / Tails % Vowels);
        if (index % Tails > 0) codePoints.Add(Tail + index % Tails);
    }

    public static int? Compose(int first, int second)
    {
        if (first is >= Lead and < Lead + Leads && second is >= Vowel and < Vowel + Vowels)
        {
            return Syllable + ((first - Lead) * Vowels + second - Vowel) * Tails;
        }

        var takesTail = IsSyllable(first) && (first - Syllable) % Tails == 0;
        return takesTail && second is > Tail and < Tail + Tails ? first + second - Tail : null;
    }
}
