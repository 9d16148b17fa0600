namespace MoeSharp.Training;

/// <summary>
/// Trains byte-level BPE tokenizers (Sennrich et al. 2016, arXiv:1508.07909, on bytes as in GPT-2) with exactly the merges of Hugging Face
/// tokenizers 0.23: <c>BpeTrainer</c> with the <c>ByteLevel</c> pre-tokenizer and its alphabet. Deterministic: the same texts give the same
/// tokenizer for any number of threads and any order of the texts.
/// </summary>
public static class BpeTrainer
{
    private const double CountingShare = 0.5;            // of the time; only the progress bar depends on it

    /// <summary>Trains a tokenizer: id 0 is the end-of-text token, 1 to 256 are the bytes, the rest are merges, most frequent first.</summary>
    /// <param name="texts">The training text; no merge crosses from one to the next.</param>
    /// <param name="options">The size of the vocabulary and what else it must be.</param>
    /// <param name="progress">Receives the share that is done, 0 to 1.</param>
    /// <param name="cancellation">Stops the training.</param>
    /// <exception cref="MoeException">The options are out of range.</exception>
    public static ByteLevelTokenizer Train(
        IEnumerable<string> texts, BpeTrainerOptions options, IProgress<double>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();

        var total = texts.TryGetNonEnumeratedCount(out _) ? Math.Max(1, texts.Sum(text => (long)text.Length)) : long.MaxValue;
        var counts = WordCounter.Count(texts, done => progress?.Report(CountingShare * done / total), cancellation);

        var vocabulary = new TrainedVocabulary(options.EndOfText);
        var words = new TrainingWords(counts, vocabulary.IdOf);
        var pairs = new PairCounts();
        for (var word = 0; word < words.Count; word++) words.CountPairs(word, pairs);
        pairs.QueueNew();

        while (vocabulary.Count < options.VocabularySize && pairs.TryTake(options.MinimumFrequency, out var candidate))
        {
            cancellation.ThrowIfCancellationRequested();

            var merged = vocabulary.Merge(candidate.Pair);
            foreach (var word in candidate.Words) words.Merge(word, candidate.Pair, merged, pairs);
            pairs.QueueNew();

            progress?.Report(CountingShare + (1 - CountingShare) * vocabulary.Count / options.VocabularySize);
        }

        return ByteLevelTokenizer.FromTraining(vocabulary, options.EndOfText);
    }
}
