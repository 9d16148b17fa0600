using CsCheck;

namespace MoeSharp.Training.Tests;

/// <summary>Random text that finds the edges of tokenizers: every plane, control characters, contractions, special tokens, spaces of all kinds.</summary>
internal static class UnicodeText
{
    private static readonly string[] Fragments =
    [
        "<|endoftext|>", "<|endof", "|>", "'s", "'LL", "'ve", "don't", " ", "  ", "\n", "\r\n", "\t", "\0", "\u007f", "\u0085", "\u00a0", "\u1680", "\u2028", "\u3000", "\u180e",
        "é", "e\u0301", "日本語", "👩‍🔬", "🚀", "𐎠𐎡", "𝐀𝟗", "𠀀", "١٢٣", "Ⅷ", "½", "_", "Ġ", "ĊĊ", "\uFEFF", "\uFFFD", "the ", "token", "1234567",
    ];

    private static readonly Gen<string> Rune = Gen.Int[0, 0x10FFFF].Where(value => value is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32);
    private static readonly Gen<string> Ascii = Gen.Char['\0', '\u007f'].Select(character => character.ToString());

    /// <summary>Valid text of up to some forty fragments.</summary>
    public static Gen<string> Valid { get; } =
        Gen.Frequency((4, Gen.OneOf([.. Fragments.Select(Gen.Const)])), (2, Ascii), (1, Rune)).Array[0, 40].Select(parts => string.Concat(parts));

    /// <summary>Any string: halves of surrogate pairs too.</summary>
    public static Gen<string> Any { get; } = Gen.OneOf(Valid, Gen.Char['\ud700', '\ue0ff'].Array[0, 12].Select(characters => new string(characters)));
}
