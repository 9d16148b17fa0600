using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class TokenDecoderTests
{
    private static readonly ByteLevelTokenizer Tokenizer = ByteLevelTokenizer.Load(Fixtures.Path("tokenizer"));

    [Fact]
    public void Push_TokensOfOneCharacter_EmitsItOnlyWhenComplete()
    {
        var decoder = Tokenizer.CreateDecoder();

        var texts = Tokenizer.Encode("🚀").Select(decoder.Push).ToList();

        Assert.Equal(["", "", "", "🚀"], texts);
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void Push_AnyIds_GivesTogetherWhatDecodeGives() =>
        Gen.Int[0, 699].Array[0, 60].Holds(2000, ids =>
        {
            var decoder = Tokenizer.CreateDecoder();
            return string.Concat(ids.Select(decoder.Push)) + decoder.Flush() == Tokenizer.Decode(ids);
        });

    [Fact]
    public void Flush_UnfinishedCharacter_EmitsTheReplacementCharacterAndStartsAnew()
    {
        var decoder = Tokenizer.CreateDecoder();
        var ids = Tokenizer.Encode("é");

        Assert.Equal("", decoder.Push(ids[0]));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("é", decoder.Push(ids[0]) + decoder.Push(ids[1]));
    }
}
