using System.Text;
using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class CanonicalCompositionTests
{
    // what ICU of any age knows as the table of Unicode 14 does
    private static readonly Gen<int> CodePoint = Gen.OneOf(
        Gen.Int[0, 0x24F], Gen.Int[0x300, 0x36F], Gen.Int[0x590, 0x6FF], Gen.Int[0x900, 0xDFF], Gen.Int[0x1100, 0x11FF], Gen.Int[0x1E00, 0x1FFF], Gen.Int[0x2000, 0x22FF],
        Gen.Int[0x3040, 0x30FF], Gen.Int[0xAC00, 0xD7A3], Gen.Int[0xF900, 0xFAFF], Gen.Int[0x1D150, 0x1D1C0], Gen.Int[0x11080, 0x110C0]);

    [Fact]
    public void Apply_EveryCodePoint_EqualsIcu()
    {
        for (var codePoint = 0; codePoint < 0x3200; codePoint++)
        {
            var text = $"a{new Rune(codePoint)}\u0301\u0323";
            if (codePoint is 0x897 or (>= 0x1ADD and <= 0x1AEB)) continue;      // marks younger than the table

            Assert.Equal(text.Normalize(NormalizationForm.FormC), CanonicalComposition.Apply(text));
        }
    }

    [Fact]
    public void Apply_AnySequence_EqualsIcu() =>
        CodePoint.Array[0, 12].Select(codePoints => string.Concat(codePoints.Select(char.ConvertFromUtf32)))
            .Holds(20_000, text => CanonicalComposition.Apply(text) == text.Normalize(NormalizationForm.FormC));

    [Theory]
    [InlineData("e\u0301", "é")]
    [InlineData("\u1100\u1161\u11A8", "각")]
    [InlineData("\u212B", "Å")]                                                      // a singleton: decomposes, composes to another
    [InlineData("\u0958", "\u0915\u093C")]                                           // excluded from composition
    [InlineData("q\u0307\u0323", "q\u0323\u0307")]                                   // marks change places
    public void Apply_KnownCases_GivesNormalFormC(string text, string expected) => Assert.Equal(expected, CanonicalComposition.Apply(text));
}
