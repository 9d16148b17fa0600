using System.Text;
using System.Text.Json;
using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class ByteLevelTokenizerTests
{
    private static readonly string TokenizerFile = Fixtures.Path("tokenizer", "tokenizer.json");
    private static readonly ByteLevelTokenizer Tokenizer = ByteLevelTokenizer.Load(TokenizerFile);
    private static readonly NaiveBpe Reference = new(File.ReadAllText(TokenizerFile));

    public static TheoryData<string, int[], string> ReferenceEncodings()
    {
        using var expected = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("tokenizer", "expected.json")));
        var rows = new TheoryData<string, int[], string>();
        foreach (var row in expected.RootElement.GetProperty("encodings").EnumerateArray())
        {
            rows.Add(row.GetProperty("text").GetString()!, [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())], row.GetProperty("decoded").GetString()!);
        }

        return rows;
    }

    [Theory, MemberData(nameof(ReferenceEncodings))]
    public void Encode_ReferenceTexts_GivesTheIdsOfHuggingFace(string text, int[] ids, string decoded)
    {
        Assert.Equal(ids, Tokenizer.Encode(text));
        Assert.Equal(decoded, Tokenizer.Decode(ids));
    }

    [Fact]
    public void Encode_AnyText_EqualsTheNaiveReference() =>
        UnicodeText.Valid.Holds(3000, text => Reference.Encode(text).SequenceEqual(Tokenizer.Encode(text)));

    [Fact]
    public void Decode_OfEncode_ReturnsAnyValidText() =>
        UnicodeText.Valid.Holds(3000, text => Tokenizer.Decode(Tokenizer.Encode(text)) == text);

    [Fact]
    public void Encode_LoneSurrogates_BecomeTheReplacementCharacter()
    {
        Assert.Equal(Tokenizer.Encode("a\uFFFDb\uFFFD"), Tokenizer.Encode("a\ud800b\udc00"));
        UnicodeText.Any.Holds(1000, text => Tokenizer.Decode(Tokenizer.Encode(text)) == Utf16.WithoutLoneSurrogates(text));
    }

    [Theory]
    [InlineData("\0")]
    [InlineData("\0\0a\0")]
    [InlineData("")]
    public void Encode_OddTexts_RoundTrip(string text) => Assert.Equal(text, Tokenizer.Decode(Tokenizer.Encode(text)));

    [Fact]
    public void Encode_FromManyThreads_GivesTheSameIds()
    {
        var texts = Enumerable.Range(0, 200).Select(i => $"thread {i} says 'hello' to {i * i} others 🚀").ToArray();

        var parallel = texts.AsParallel().AsOrdered().Select(Tokenizer.Encode).ToArray();

        Assert.Equal(texts.Select(text => Reference.Encode(text).ToArray()), parallel);
    }

    [Theory]
    [InlineData("interesting", 900)]
    [InlineData("a", 5000)]
    [InlineData("théories", 400)]
    [InlineData("日本語のテキスト", 300)]
    public void Encode_VeryLongWord_EqualsTheNaiveReference(string part, int times)
    {
        var text = string.Concat(Enumerable.Repeat(part, times));

        Assert.Equal(Reference.Encode(text), Tokenizer.Encode(text));
    }

    [Fact]
    public void Merge_LongWords_EqualsMicrosoft()
    {
        var model = TokenizerJson.Read(TokenizerFile, File.ReadAllBytes(TokenizerFile));
        var (merger, library) = (new LongWordMerger(model), new WordEncoding(model));

        Gen.String[Gen.Char['a', 'h'], 1, 400].Holds(1000, word => merger.Merge(Encoding.UTF8.GetBytes(word))!.SequenceEqual(library.Encode(word)));
    }

    [Fact]
    public void Encode_WordOfAMillionLetters_TakesNoQuadraticTime()
    {
        var text = string.Concat(Enumerable.Repeat("interesting", 100_000));

        Assert.Equal(text, Tokenizer.Decode(Tokenizer.Encode(text)));
    }

    [Fact]
    public void Decode_UnknownIds_LeavesThemOut() => Assert.Equal("Hello", Tokenizer.Decode([-1, .. Tokenizer.Encode("Hello"), 700, int.MaxValue]));

    [Fact]
    public void Decode_InvalidBytes_GivesReplacementCharacters()
    {
        var lead = Tokenizer.Encode("é")[0];

        Assert.Equal("\uFFFDa\uFFFD", Tokenizer.Decode([lead, .. Tokenizer.Encode("a"), lead]));
    }

    [Fact]
    public void Save_ThenLoad_GivesTheSameTokenizer()
    {
        using var folder = new TemporaryFolder();

        BpeTrainer.Train(["to be or not to be"], new() { VocabularySize = 259, EndOfText = "<end>" }).Save(folder.Path);

        var loaded = ByteLevelTokenizer.Load(folder.Path);
        Assert.Equal(0, loaded.EndOfTextId);
        Assert.Equal(259, loaded.VocabularySize);
        Assert.Equal("to<end>be", loaded.Decode(loaded.Encode("to<end>be")));
        Assert.Equal(
            """
            {
              "clean_up_tokenization_spaces": false,
              "eos_token": "<end>",
              "model_max_length": 1000000000000000019884624838656,
              "tokenizer_class": "PreTrainedTokenizerFast"
            }
            """,
            File.ReadAllText(folder.File("tokenizer_config.json")),
            ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Save_TokenizerThatWasRead_KeepsTheFiles()
    {
        using var source = new TemporaryFolder();
        using var target = new TemporaryFolder();
        File.Copy(TokenizerFile, source.File("tokenizer.json"));
        File.WriteAllText(source.File("tokenizer_config.json"), """{"eos_token": {"content": "t", "lstrip": false}, "chat_template": "…"}""");

        var tokenizer = ByteLevelTokenizer.Load(source.Path);
        tokenizer.Save(target.Path);

        Assert.Equal(tokenizer.Encode("t")[0], tokenizer.EndOfTextId);
        Assert.Equal(File.ReadAllBytes(TokenizerFile), File.ReadAllBytes(target.File("tokenizer.json")));
        Assert.Equal(File.ReadAllText(source.File("tokenizer_config.json")), File.ReadAllText(target.File("tokenizer_config.json")));
    }

    [Fact]
    public void Load_NoTokenizerFileSaysWhatWasExpected()
    {
        var error = Assert.Throws<MoeException>(() => ByteLevelTokenizer.Load("/nowhere/tokenizer.json"));

        Assert.Equal("There is no tokenizer at /nowhere/tokenizer.json: expected a tokenizer.json, or a folder that holds one.", error.Message);
    }
}
