using System.Text;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class TokenCorpusTests : IDisposable
{
    private static readonly ByteLevelTokenizer Tokenizer = ByteLevelTokenizer.Load(Fixtures.Path("tokenizer"));
    private static readonly TextDocument[] Documents = [.. Enumerable.Range(0, 200).Select(i => new TextDocument($"{i}", $"Document {i} says {i * i}.\n"))];

    private readonly TemporaryFolder _cache = new();

    public void Dispose() => _cache.Dispose();

    [Fact]
    public void Open_Documents_KeepsEveryDocumentWholeOnOneSide()
    {
        using var corpus = Open(Documents, 0.2);

        var train = Texts(corpus.Train);
        var heldOut = Texts(corpus.HeldOut);

        Assert.Equal(Documents.Select(document => document.Text).Order(), train.Concat(heldOut).Order());
        Assert.InRange(heldOut.Count, 20, 60);
        Assert.Equal(heldOut.Sum(Encoding.UTF8.GetByteCount), corpus.HeldOutBytes);
        Assert.InRange(corpus.HeldOutGzipBitsPerByte, 1, 5);
    }

    [Fact]
    public void Open_AnotherOrderAndRepeats_GivesTheSameTokens()
    {
        using var corpus = Open(Documents, 0.2);
        using var shuffled = Open([.. Documents.Reverse(), .. Documents.Take(50)], 0.2);

        Assert.Equal(corpus.Fingerprint, shuffled.Fingerprint);
        Assert.Equal(Tokens(corpus.Train), Tokens(shuffled.Train));
    }

    [Fact]
    public void Open_MoreDocuments_LeavesTheOthersOnTheirSides()
    {
        using var few = Open(Documents[..100], 0.2);
        using var many = Open(Documents, 0.2);

        Assert.Subset(Texts(many.HeldOut).ToHashSet(), Texts(few.HeldOut).ToHashSet());
        Assert.Subset(Texts(many.Train).ToHashSet(), Texts(few.Train).ToHashSet());
    }

    [Theory]
    [InlineData(1e-9)]
    [InlineData(0.999999)]
    public void Open_TwoDocuments_HoldsOneOutAndKeepsOne(double share)
    {
        using var corpus = Open(Documents[..2], share);

        Assert.Single(Texts(corpus.HeldOut));
        Assert.Single(Texts(corpus.Train));
    }

    [Theory]
    [InlineData("line {0}\n")]
    [InlineData("the same line\n")]
    [InlineData("word{0} ")]
    [InlineData("🚀")]
    public void Open_SingleDocument_IsCutIntoPieces(string part)
    {
        var text = string.Concat(Enumerable.Range(0, 500).Select(i => part.Replace("{0}", $"{i}", StringComparison.Ordinal)));

        using var corpus = Open([new("one", text), new("again", text)], 0.1);

        var pieces = Texts(corpus.Train).Concat(Texts(corpus.HeldOut)).ToList();
        Assert.Equal(text.Length, pieces.Sum(piece => piece.Length));
        Assert.All(pieces, piece => Assert.Contains(piece, text, StringComparison.Ordinal));
        Assert.NotEmpty(Texts(corpus.HeldOut));
        Assert.True(corpus.Train.Count > corpus.HeldOut.Count);
    }

    [Fact]
    public void Open_TooLittleText_SaysWhatToDo()
    {
        foreach (var documents in (TextDocument[][])[[], [new("a", "")], [new("a", "x")]])
        {
            var error = Assert.Throws<MoeException>(() => Open(documents, 0.1));
            Assert.Equal("There is too little text: a part must be held out and a part must stay to train on. Give more data.", error.Message);
        }
    }

    [Fact]
    public void Open_SecondTime_ReadsTheFileOfTheFirst()
    {
        Open(Documents, 0.2).Dispose();
        var written = File.GetLastWriteTimeUtc(CacheFile());

        using var corpus = Open(Documents, 0.2);

        Assert.Equal(written, File.GetLastWriteTimeUtc(CacheFile()));
        Assert.Equal(200, Texts(corpus.Train).Count + Texts(corpus.HeldOut).Count);
    }

    [Fact]
    public void Open_DamagedFile_MakesItAnew()
    {
        long[] expected;
        using (var corpus = Open(Documents, 0.2)) expected = Tokens(corpus.Train);
        var whole = File.ReadAllBytes(CacheFile());

        byte[][] cut = [[], whole[..100], whole[..^1], [.. whole, 0]];
        int[] changed = [3, 50, 120, whole.Length / 2];

        foreach (var damaged in cut.Concat(changed.Select(at => Changed(whole, at))))
        {
            File.WriteAllBytes(CacheFile(), damaged);

            using var corpus = Open(Documents, 0.2);

            Assert.Equal(expected, Tokens(corpus.Train));
            Assert.Equal(whole, File.ReadAllBytes(CacheFile()));
        }
    }

    [Fact]
    public void Open_AtOnce_GivesEveryoneTheSame()
    {
        var corpora = Enumerable.Range(0, 8).AsParallel().WithDegreeOfParallelism(8).Select(_ => Open(Documents, 0.2)).ToList();

        Assert.All(corpora, corpus => Assert.Equal(Tokens(corpora[0].Train), Tokens(corpus.Train)));
        Assert.Single(Directory.GetFiles(_cache.Path));
        corpora.ForEach(corpus => corpus.Dispose());
    }

    [Fact]
    public void Open_Cancelled_LeavesNothing()
    {
        Assert.ThrowsAny<OperationCanceledException>(() => TokenCorpus.Open(Documents, Tokenizer, 0.2, _cache.Path, null, new(canceled: true)));

        Assert.Empty(Directory.GetFiles(_cache.Path));
    }

    [Fact]
    public void Open_UnwritableFolder_SaysWhatToDo()
    {
        File.WriteAllText(_cache.File("file"), "");

        var error = Assert.Throws<MoeException>(() => TokenCorpus.Open(Documents, Tokenizer, 0.2, _cache.File("file/below")));

        Assert.EndsWith("Name another folder in the environment variable MOESHARP_CACHE.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_LargeVocabulary_TakesFourBytesAToken()
    {
        var json = File.ReadAllText(Fixtures.Path("tokenizer", "tokenizer.json"))
            .Replace("\"id\": 0,", "\"id\": 70000,", StringComparison.Ordinal)
            .Replace("\"<|endoftext|>\": 0,", "", StringComparison.Ordinal);
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), json);
        var large = ByteLevelTokenizer.Load(folder.Path);

        using var corpus = TokenCorpus.Open(Documents, large, 0.2, _cache.Path);

        Assert.Equal(70001, large.VocabularySize);
        Assert.Equal(70000, Tokens(corpus.Train)[0]);
        Assert.Equal(128 + 4 * (corpus.Train.Count + corpus.HeldOut.Count), new FileInfo(CacheFile()).Length);
    }

    [Fact]
    public void Read_OutsideTheSequence_IsRefused()
    {
        using var corpus = Open(Documents, 0.2);

        Assert.Throws<ArgumentOutOfRangeException>(() => corpus.HeldOut.Read(corpus.HeldOut.Count - 1, new long[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => corpus.HeldOut.Read(-1, new long[1]));
    }

    [Fact]
    public void Read_AfterDispose_IsRefused()
    {
        var corpus = Open(Documents, 0.2);
        corpus.Dispose();

        Assert.Throws<ObjectDisposedException>(() => corpus.Train.Read(0, new long[1]));
    }

    private TokenCorpus Open(IReadOnlyList<TextDocument> documents, double share) => TokenCorpus.Open(documents, Tokenizer, share, _cache.Path);

    private string CacheFile() => Assert.Single(Directory.GetFiles(_cache.Path));

    private static byte[] Changed(byte[] bytes, int at)
    {
        var changed = bytes.ToArray();
        changed[at] ^= 1;
        return changed;
    }

    private static long[] Tokens(TokenSequence sequence)
    {
        var tokens = new long[sequence.Count];
        sequence.Read(0, tokens);
        return tokens;
    }

    private static List<string> Texts(TokenSequence sequence)
    {
        Assert.Equal(Tokenizer.EndOfTextId, (int)Tokens(sequence)[0]);
        return [.. Tokenizer.Decode(Tokens(sequence).Select(token => (int)token)).Split("<|endoftext|>")[1..]];
    }
}
