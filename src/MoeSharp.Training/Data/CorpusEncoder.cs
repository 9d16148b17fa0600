namespace MoeSharp.Training;

/// <summary>Encodes texts on all cores and hands them on in their order, each preceded by the end-of-text token.</summary>
internal sealed class CorpusEncoder(ByteLevelTokenizer tokenizer, int endOfText, IProgress<double>? progress, CancellationToken cancellation)
{
    private const long BatchCharacters = 1 << 25;        // bounds the memory, not the work

    private long _characters;
    private long _charactersDone;

    /// <summary>The bytes that a token takes in the cache: 2 when the vocabulary allows, else 4.</summary>
    public int TokenWidth => tokenizer.VocabularySize <= 1 << 16 ? sizeof(ushort) : sizeof(int);

    /// <summary>Encodes all texts of a split, the held-out ones first.</summary>
    public IEnumerable<int[]> Encode(HeldOutSplit split)
    {
        var texts = split.HeldOut.Concat(split.Train).Select(text => text.Text).ToList();
        _characters = texts.Sum(text => (long)text.Length);

        foreach (var batch in Batches(texts))
        {
            foreach (var ids in OrderedParallel.Select(batch, Encode, cancellation)) yield return ids;
        }
    }

    private int[] Encode(string text)
    {
        int[] ids = [endOfText, .. tokenizer.Encode(text)];
        progress?.Report(Interlocked.Add(ref _charactersDone, text.Length) / (double)_characters);
        return ids;
    }

    private static IEnumerable<List<string>> Batches(List<string> texts)
    {
        var batch = new List<string>();
        var characters = 0L;

        foreach (var text in texts)
        {
            batch.Add(text);
            characters += text.Length;
            if (characters < BatchCharacters) continue;

            yield return batch;
            (batch, characters) = ([], 0);
        }

        yield return batch;
    }
}
