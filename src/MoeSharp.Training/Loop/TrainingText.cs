namespace MoeSharp.Training;

/// <summary>The text of a run, ready to train on: its tokenizer and its tokens.</summary>
internal sealed class TrainingText : IDisposable
{
    private TrainingText(ByteLevelTokenizer tokenizer, TokenCorpus corpus)
    {
        Tokenizer = tokenizer;
        Corpus = corpus;
        ByteCounts = CountBytes(tokenizer);
    }

    public ByteLevelTokenizer Tokenizer { get; }

    public TokenCorpus Corpus { get; }

    /// <summary>The bytes of text that each token id stands for; 0 for the end of a text.</summary>
    public int[] ByteCounts { get; }

    /// <summary>Reads the documents, trains or loads the tokenizer, and tokenizes; the tokens come from the cache when nothing changed.</summary>
    public static TrainingText Prepare(TrainingOptions options, TrainingRun run, IProgress<TrainingEvent>? progress, CancellationToken cancellationToken)
    {
        IProgress<double> Activity(string name) => new Reporter(share => progress?.Report(new Preparing(name, share)));

        progress?.Report(new Preparing("reading text", null));
        var documents = run.Data.Count > 0 ? TextData.Read(run.Data, cancellationToken) : TextData.ReadSdkDocumentation(cancellationToken);

        var tokenizer = run.Tokenizer is { } path
            ? ByteLevelTokenizer.Load(path)
            : BpeTrainer.Train(documents.Select(document => document.Text), new() { VocabularySize = options.VocabularySize }, Activity("training the tokenizer"), cancellationToken);
        return new TrainingText(tokenizer, TokenCorpus.Open(documents, tokenizer, options.HeldOutShare, TokenCorpus.DefaultCacheFolder, Activity("tokenizing"), cancellationToken));
    }

    internal static int[] CountBytes(ByteLevelTokenizer tokenizer) =>
        [.. Enumerable.Range(0, tokenizer.VocabularySize).Select(id => id == tokenizer.EndOfTextId ? 0 : tokenizer.TokenBytes(id).Length)];

    /// <inheritdoc/>
    public void Dispose() => Corpus.Dispose();

    /// <summary>Reports on the calling thread; <see cref="Progress{T}"/> would post to another and out of order.</summary>
    private sealed class Reporter(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }
}
