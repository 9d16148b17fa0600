namespace MoeSharp.Training;

/// <summary>
/// Merges very long words (a line without spaces, a file of one letter) in n log n steps. Microsoft's merger removes merged tokens from the
/// middle of an array, which is quadratic: 10 seconds for a word of 200,000 letters, and four minutes for a million.
/// </summary>
internal sealed class LongWordMerger
{
    private readonly Dictionary<TokenPair, (int Rank, int Id)> _merges;
    private readonly int?[] _byteIds;

    public LongWordMerger(TokenizerModel model)
    {
        var ids = model.Vocabulary;
        _byteIds = [.. Enumerable.Range(0, 256).Select(value => IdOf(ids, (byte)value))];
        _merges = model.Merges.Select((merge, rank) => (merge.Left, merge.Right, Rank: rank))
            .ToDictionary(merge => new TokenPair(ids[merge.Left], ids[merge.Right]), merge => (merge.Rank, ids[merge.Left + merge.Right]));
    }

    /// <summary>The ids of a word's bytes; null when the vocabulary lacks one of them.</summary>
    public int[]? Merge(ReadOnlySpan<byte> word)
    {
        var tokens = new LinkedTokens(word.Length);
        for (var at = 0; at < word.Length; at++)
        {
            if (_byteIds[word[at]] is not { } id) return null;
            tokens.Ids[at] = id;
        }

        var queue = new PriorityQueue<(int At, TokenPair Pair, int Merged), (int Rank, int At)>();
        for (var at = 0; at < word.Length; at++) Queue(at);

        while (queue.TryDequeue(out var next, out _))
        {
            if (tokens.PairAt(next.At) != next.Pair) continue;                  // one of the two was merged meanwhile

            tokens.MergeAt(next.At, next.Merged);
            Queue(tokens.Previous[next.At]);
            Queue(next.At);
        }

        return tokens.Remaining();

        void Queue(int at)
        {
            if (tokens.PairAt(at) is { } pair && _merges.TryGetValue(pair, out var merge)) queue.Enqueue((at, pair, merge.Id), (merge.Rank, at));
        }
    }

    private static int? IdOf(IReadOnlyDictionary<string, int> ids, byte value) =>
        ids.TryGetValue(ByteAlphabet.ToCharacter(value).ToString(), out var id) ? id : null;

    // The tokens of a word, each at the place of its first byte; -1 where there is none.
    private sealed class LinkedTokens
    {
        public LinkedTokens(int count)
        {
            Ids = new int[count];
            Previous = [.. Enumerable.Range(-1, count)];
            Next = [.. Enumerable.Range(1, count)];
        }

        public int[] Ids { get; }

        public int[] Previous { get; }

        private int[] Next { get; }

        public TokenPair? PairAt(int at) => at >= 0 && Ids[at] >= 0 && Next[at] < Ids.Length ? new(Ids[at], Ids[Next[at]]) : null;

        public void MergeAt(int at, int merged)
        {
            var absorbed = Next[at];
            Ids[at] = merged;
            Ids[absorbed] = -1;
            Next[at] = Next[absorbed];
            if (Next[at] < Ids.Length) Previous[Next[at]] = at;
        }

        public int[] Remaining() => [.. Ids.Where(id => id >= 0)];
    }
}
