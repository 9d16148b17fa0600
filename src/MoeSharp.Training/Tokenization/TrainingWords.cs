namespace MoeSharp.Training;

/// <summary>The distinct words of the training text as sequences of token ids, in one array; merging shortens them in place.</summary>
internal sealed class TrainingWords
{
    private readonly int[] _symbols;
    private readonly int[] _starts;
    private readonly int[] _lengths;
    private readonly long[] _counts;

    public TrainingWords(IReadOnlyList<KeyValuePair<string, long>> words, Func<char, int> idOf)
    {
        var encoded = words.Select(word => ByteAlphabet.Encode(word.Key)).ToArray();
        _symbols = new int[encoded.Sum(word => word.Length)];
        _starts = new int[encoded.Length];
        _lengths = new int[encoded.Length];
        _counts = new long[encoded.Length];

        for (int word = 0, next = 0; word < encoded.Length; word++)
        {
            _starts[word] = next;
            _lengths[word] = encoded[word].Length;
            _counts[word] = words[word].Value;
            foreach (var character in encoded[word]) _symbols[next++] = idOf(character);
        }
    }

    public int Count => _counts.Length;

    /// <summary>Adds all pairs of a word to the counts.</summary>
    public void CountPairs(int word, PairCounts pairs)
    {
        var symbols = _symbols.AsSpan(_starts[word], _lengths[word]);
        for (var i = 1; i < symbols.Length; i++) pairs.Add(new(symbols[i - 1], symbols[i]), _counts[word], word);
    }

    /// <summary>
    /// Replaces every occurrence of the pair in a word, left to right, and books the neighbours' pairs that go and come. The count of
    /// the pair itself stays as it was, as in the upstream trainer: it matters only when a later merge makes one of its parts again.
    /// </summary>
    public void Merge(int word, TokenPair pair, int merged, PairCounts pairs)
    {
        var symbols = _symbols.AsSpan(_starts[word], _lengths[word]);
        var count = _counts[word];
        var kept = 0;

        for (var next = 0; next < symbols.Length;)
        {
            if (symbols[next] != pair.Left || next + 1 == symbols.Length || symbols[next + 1] != pair.Right)
            {
                symbols[kept++] = symbols[next++];
                continue;
            }

            next += 2;
            if (kept > 0)
            {
                pairs.Add(new(symbols[kept - 1], pair.Left), -count, word);
                pairs.Add(new(symbols[kept - 1], merged), count, word);
            }

            if (next < symbols.Length)
            {
                pairs.Add(new(pair.Right, symbols[next]), -count, word);
                pairs.Add(new(merged, symbols[next]), count, word);
            }

            symbols[kept++] = merged;
        }

        _lengths[word] = kept;
    }
}
