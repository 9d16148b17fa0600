using CsCheck;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class BpeTrainerTests
{
    private static readonly string[] FixtureTexts =
        [.. Directory.GetFiles(Fixtures.Path("tokenizer", "training")).Order(StringComparer.Ordinal).Select(File.ReadAllText)];

    [Fact]
    public void Train_OnTheReferenceText_WritesTheReferenceFileByteForByte()
    {
        using var folder = new TemporaryFolder();

        BpeTrainer.Train(FixtureTexts, new() { VocabularySize = 700 }).Save(folder.Path);

        Assert.Equal(File.ReadAllText(Fixtures.Path("tokenizer", "tokenizer.json")), File.ReadAllText(folder.File("tokenizer.json")));
    }

    [Fact]
    public void Train_TextsInAnotherOrder_GivesTheSameTokenizer()
    {
        var forward = BpeTrainer.Train(FixtureTexts, new() { VocabularySize = 500 });

        var backward = BpeTrainer.Train(FixtureTexts.Reverse(), new() { VocabularySize = 500 });

        Assert.Equal(forward.Fingerprint, backward.Fingerprint);
    }

    [Theory]
    [InlineData("ab ab ab cd cd cd", "ab cd Ġcd Ġab")]                               // equal counts: the smaller ids first
    [InlineData("aaaa aaaa aaaa", "aa aaaa Ġaaaa")]                                  // overlapping pairs are merged left to right
    [InlineData("xy", "")]                                                           // once is less than the minimum frequency
    public void Train_SmallTexts_MergesAsUpstream(string text, string merges)
    {
        var tokenizer = BpeTrainer.Train([text], new() { VocabularySize = 1000 });

        Assert.Equal(merges.Split(' ', StringSplitOptions.RemoveEmptyEntries), Tokens(tokenizer));
    }

    [Fact]
    public void Train_AnyText_EqualsTheUpstreamAlgorithm() =>
        Gen.OneOf(Gen.Char['a', 'c'], Gen.OneOf(Gen.Const('a'), Gen.Const(' '), Gen.Const('\n'), Gen.Const('é'))).Array[0, 300].Select(characters => new string(characters))
            .Holds(300, text => NaiveBpeTrainer.Train(text, 400).SequenceEqual(Tokens(BpeTrainer.Train([text], new() { VocabularySize = 400 }))));

    [Fact]
    public void Train_LongText_IsCutForThreadsWithoutCuttingWords()
    {
        var text = string.Join(' ', Enumerable.Range(0, 300_000).Select(i => $"word{i % 7}\n"));

        var whole = BpeTrainer.Train([text], new() { VocabularySize = 300 });

        var lines = BpeTrainer.Train(text.Split(' ').Select((line, index) => index == 0 ? line : " " + line), new() { VocabularySize = 300 });
        Assert.Equal(lines.Fingerprint, whole.Fingerprint);
    }

    [Fact]
    public void Train_NoText_GivesBytesAlone()
    {
        var tokenizer = BpeTrainer.Train([], new() { VocabularySize = 4096 });

        Assert.Equal(257, tokenizer.VocabularySize);
        Assert.Equal("né", tokenizer.Decode(tokenizer.Encode("né")));
    }

    [Fact]
    public void Train_TooSmallVocabulary_SaysWhatItNeeds()
    {
        var error = Assert.Throws<MoeException>(() => BpeTrainer.Train([], new() { VocabularySize = 256 }));

        Assert.Equal("The vocabulary size is 256; byte-level BPE needs 257 or more: 256 bytes and the end-of-text token.", error.Message);
    }

    [Fact]
    public void Train_Cancelled_Stops()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();

        Assert.ThrowsAny<OperationCanceledException>(() => BpeTrainer.Train(FixtureTexts, new() { VocabularySize = 500 }, cancellation: stop.Token));
    }

    [Fact]
    public void Train_ReportsProgressUpToTheEnd()
    {
        var shares = new List<double>();

        BpeTrainer.Train(FixtureTexts, new() { VocabularySize = 500 }, new Sink(shares));

        Assert.Equal(1, shares.Max());
    }

    private static IEnumerable<string> Tokens(ByteLevelTokenizer tokenizer) =>
        Enumerable.Range(257, tokenizer.VocabularySize - 257).Select(id => string.Concat(tokenizer.TokenBytes(id).ToArray().Select(ByteAlphabet.ToCharacter)));

    private sealed class Sink(List<double> shares) : IProgress<double>
    {
        public void Report(double value)
        {
            lock (shares) shares.Add(value);
        }
    }
}
