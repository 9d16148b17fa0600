using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

/// <summary>A corpus of the fixture's text.</summary>
internal static class SmallCorpus
{
    public const int Vocabulary = 300;

    private static readonly TextCollection Documents = TextData.Read([Fixtures.Path("tokenizer", "training")]);
    public static ByteLevelTokenizer Tokenizer { get; } = BpeTrainer.Train(Documents.Select(document => document.Text), new() { VocabularySize = Vocabulary });
    private static readonly TemporaryFolder Cache = new();

    public static TokenCorpus Open() => TokenCorpus.Open(Documents, Tokenizer, 0.2, Cache.Path, null, default);
}
