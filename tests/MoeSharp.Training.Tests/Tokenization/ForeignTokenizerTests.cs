using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

/// <summary>Tokenizers of other models: the fixture's vocabulary in the shapes that their files have.</summary>
public sealed class ForeignTokenizerTests : IDisposable
{
    private const string Qwen =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly string Original = File.ReadAllText(Fixtures.Path("tokenizer", "tokenizer.json"));

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Encode_QwenStyle_UsesThePatternAndNormalFormOfTheFile()
    {
        var tokenizer = Load(json =>
        {
            json["normalizer"] = JsonNode.Parse("""{"type": "NFC"}""");
            json["pre_tokenizer"] = Sequence(Split(Qwen), ByteLevel());
        });
        var reference = new NaiveBpe(Original, Qwen);

        UnicodeText.Valid.Where(text => !text.Contains('<', StringComparison.Ordinal))
            .Holds(2000, text => reference.Encode(text.Normalize()).SequenceEqual(tokenizer.Encode(text)));
        Assert.Equal("é", tokenizer.Decode(tokenizer.Encode("e\u0301")));
    }

    [Fact]
    public void Encode_NormalForm_DoesNotReachAcrossSpecialTokens()
    {
        var tokenizer = Load(json => json["normalizer"] = JsonNode.Parse("""{"type": "Sequence", "normalizers": [{"type": "NFC"}]}"""));

        Assert.Equal(0, tokenizer.Encode("<|endoftext|>\u0338")[0]);
    }

    [Fact]
    public void Encode_MergesAsStrings_EqualsMergesAsPairs()
    {
        var tokenizer = Load(json =>
        {
            var merges = json["model"]!["merges"]!.AsArray();
            json["model"]!["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create($"{merge![0]} {merge[1]}"))]);
        });

        var text = File.ReadAllText(Fixtures.Path("tokenizer", "training", "design.txt"));
        Assert.Equal(new NaiveBpe(Original).Encode(text), tokenizer.Encode(text));
    }

    [Fact]
    public void Encode_IgnoreMerges_TakesAWordThatIsATokenWhole()
    {
        void AddWord(JsonObject json) => json["model"]!["vocab"]!["Ġzyxwv"] = 700;

        Assert.DoesNotContain(700, Load(AddWord).Encode("a zyxwv"));
        Assert.Equal(700, Load(json =>
        {
            AddWord(json);
            json["model"]!["ignore_merges"] = true;
        }).Encode("a zyxwv")[1]);
    }

    [Fact]
    public void Encode_PrefixSpace_IsAddedToEveryTextThatHasNone()
    {
        var tokenizer = Load(json => json["pre_tokenizer"] = ByteLevel(addPrefixSpace: true, useRegex: true));

        Assert.Equal(" the the<|endoftext|> the", tokenizer.Decode(tokenizer.Encode("the the<|endoftext|>the")));
        Assert.Equal(" the", tokenizer.Decode(tokenizer.Encode(" the")));
    }

    [Fact]
    public void Encode_Digits_StandAlone()
    {
        var tokenizer = Load(json => json["pre_tokenizer"] = Sequence(JsonNode.Parse("""{"type": "Digits", "individual_digits": true}""")!, ByteLevel(useRegex: true)));

        Assert.Equal(["1", "2", "2", "x"], tokenizer.Encode("122x").Select(id => tokenizer.Decode([id])));
    }

    [Fact]
    public void Encode_TextBetweenMatches_IsKept()
    {
        var tokenizer = Load(json => json["pre_tokenizer"] = Sequence(Split(@"\p{N}+"), ByteLevel()));

        Assert.Equal("ab12cd", tokenizer.Decode(tokenizer.Encode("ab12cd")));
    }

    [Theory]
    [InlineData("<tool>", "x<tool>y", "x|<tool>|y")]                                 // not special, still whole
    [InlineData("<tool>x", "x<tool>xy", "x|<tool>x|y")]                              // the longest of two at one place
    [InlineData("<left>", "a  <left> b", "a|  <left>| |b")]                          // lstrip
    [InlineData("<right>", "a <right>  b", "a| |<right>  |b")]                       // rstrip
    [InlineData("<word>", "a<word> <word>", "a<word>| |<word>")]                     // single_word
    public void Encode_AddedTokens_AreCutOutAsTheFileSays(string content, string text, string expected)
    {
        var tokenizer = Load(json =>
        {
            var added = json["added_tokens"]!.AsArray();
            foreach (var (token, id) in ((string[])["<tool>", "<tool>x", "<left>", "<right>", "<word>"]).Select((token, index) => (token, 700 + index)))
            {
                added.Add(new JsonObject
                {
                    ["id"] = id,
                    ["content"] = token,
                    ["single_word"] = token == "<word>",
                    ["lstrip"] = token == "<left>",
                    ["rstrip"] = token == "<right>",
                    ["normalized"] = token != "<left>",
                    ["special"] = false,
                });
            }
        });

        var ids = tokenizer.Encode(text);

        // a token that took spaces along is decoded without them
        var pieces = expected.Split('|').Select(piece => piece.Trim() == content ? content : piece).ToList();
        Assert.Equal(pieces.Count(piece => piece == content), ids.Count(id => id >= 700));
        Assert.Equal(string.Concat(pieces), tokenizer.Decode(ids));
    }

    [Theory]
    [InlineData("model.type", """{"model": {"type": "Unigram", "vocab": []}}""", "Unigram")]
    [InlineData("model.type", """{"model": {"type": "WordPiece", "vocab": {}}}""", "WordPiece")]
    [InlineData("model.byte_fallback", """{"model": {"byte_fallback": true}}""", "true")]
    [InlineData("model.dropout", """{"model": {"dropout": 0.1}}""", "0.1")]
    [InlineData("model.end_of_word_suffix", """{"model": {"end_of_word_suffix": "</w>"}}""", "</w>")]
    [InlineData("normalizer.type", """{"normalizer": {"type": "Lowercase"}}""", "Lowercase")]
    [InlineData("normalizer.type", """{"normalizer": {"type": "NFKC"}}""", "NFKC")]
    [InlineData("pre_tokenizer", """{"pre_tokenizer": {"type": "Whitespace"}}""", "Whitespace")]
    [InlineData("pre_tokenizer", """{"pre_tokenizer": null}""", "null")]
    [InlineData("decoder.type", """{"decoder": {"type": "Metaspace"}}""", "Metaspace")]
    public void Load_AnotherKindOfTokenizer_IsRefusedByField(string field, string change, string value)
    {
        var error = Assert.Throws<MoeException>(() => Load(json => Change(json, JsonNode.Parse(change)!.AsObject())));

        Assert.StartsWith($"{_folder.File("tokenizer.json")}: {field} is {value}; only byte-level BPE is supported, with {field} = ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(@"[\p{L}[a-z]]+", "where .NET reads [ inside [ ] differently")]
    [InlineData(@"[a&&b]", "where .NET reads && inside [ ] differently")]
    [InlineData(@"\h+", @"where .NET reads \h differently")]
    [InlineData(@"\p{N}{1,3}+", "Nested quantifier")]
    [InlineData(@"\p{Han}+", "Unknown property")]
    public void Load_PatternThatMeansSomethingElse_IsRefused(string pattern, string expected)
    {
        var error = Assert.Throws<MoeException>(() => Load(json => json["pre_tokenizer"] = Sequence(Split(pattern), ByteLevel())));

        Assert.Contains($"pre_tokenizer.pattern.Regex is {pattern}", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Qwen)]
    [InlineData(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]                             // Llama 3
    [InlineData("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")]  // DeepSeek-V3
    [InlineData("[一-龥\u3040-ゟ゠-ヿ]+")]                                                                                                                        // DeepSeek-V3
    [InlineData(@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+")]  // GPT-OSS
    public void Load_PatternsOfPublishedModels_AreUsed(string pattern)
    {
        var tokenizer = Load(json => json["pre_tokenizer"] = Sequence(Split(pattern), ByteLevel()));
        const string Text = "Don't 12345 !Abc[x] 日本語\r\n\t𝐀𠀀 ";

        Assert.Equal(Text, tokenizer.Decode(tokenizer.Encode(Text)));
    }

    [Theory]
    [InlineData("{", "is not a tokenizer.json of Hugging Face tokenizers: ")]
    [InlineData("[]", "is not a tokenizer.json of Hugging Face tokenizers: the field 'model' is missing.")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": "b"}, "merges": []}}""", "is not a tokenizer.json of Hugging Face tokenizers: ")]
    public void Load_AnotherFile_SaysThatItIsNoTokenizer(string content, string expected)
    {
        File.WriteAllText(_folder.File("tokenizer.json"), content);

        Assert.StartsWith($"{_folder.File("tokenizer.json")} {expected}", Assert.Throws<MoeException>(() => ByteLevelTokenizer.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_MergeOfUnknownTokens_NamesIt()
    {
        var error = Assert.Throws<MoeException>(() => Load(json => json["model"]!["merges"]!.AsArray().Insert(1, new JsonArray("e", "zz"))));

        Assert.Equal($"{_folder.File("tokenizer.json")}: model.merges[1] needs the token 'zz', which model.vocab lacks.", error.Message);
    }

    [Fact]
    public void Load_TwoTokensWithOneId_IsRefused()
    {
        var error = Assert.Throws<MoeException>(() => Load(json => json["model"]!["vocab"]!["zzz"] = 5));

        Assert.Contains("model.vocab and added_tokens contradict each other", error.Message, StringComparison.Ordinal);
    }

    private ByteLevelTokenizer Load(Action<JsonObject> change)
    {
        var json = JsonNode.Parse(Original)!.AsObject();
        change(json);
        File.WriteAllText(_folder.File("tokenizer.json"), json.ToJsonString(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        return ByteLevelTokenizer.Load(_folder.File("tokenizer.json"));
    }

    private static void Change(JsonObject json, JsonObject changes)
    {
        foreach (var (name, value) in changes)
        {
            if (json[name] is JsonObject inner && value is JsonObject innerChanges) Change(inner, innerChanges);
            else json[name] = value?.DeepClone();
        }
    }

    private static JsonObject ByteLevel(bool addPrefixSpace = false, bool useRegex = false) =>
        new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = addPrefixSpace, ["trim_offsets"] = false, ["use_regex"] = useRegex };

    private static JsonObject Split(string pattern) =>
        new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated", ["invert"] = false };

    private static JsonObject Sequence(params JsonNode[] parts) => new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(parts) };
}
