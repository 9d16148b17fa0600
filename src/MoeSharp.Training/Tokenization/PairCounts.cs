using System.Runtime.InteropServices;

namespace MoeSharp.Training;

/// <summary>Two neighbouring tokens.</summary>
internal readonly record struct TokenPair(int Left, int Right);

/// <summary>A pair that may be merged, and the words in which it had appeared when it was queued.</summary>
internal sealed record MergeCandidate(TokenPair Pair, List<int> Words);

/// <summary>
/// How often each pair of neighbours occurs, and a queue of the pairs by count. As upstream (huggingface/tokenizers,
/// <c>models/bpe/trainer.rs</c>): the highest count first, ties to the smaller pair of ids; counts in the queue may be stale and are
/// refreshed when they come up; a pair that appears in more words later is queued again for those words alone.
/// </summary>
internal sealed class PairCounts
{
    private readonly Dictionary<TokenPair, long> _counts = [];
    private readonly Dictionary<TokenPair, List<int>> _appeared = [];
    private readonly PriorityQueue<MergeCandidate, Priority> _queue = new();

    /// <summary>Changes a pair's count by a word's; words come in ascending order between two calls of <see cref="QueueNew"/>.</summary>
    public void Add(TokenPair pair, long change, int word)
    {
        CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) += change;
        if (change < 0) return;

        ref var words = ref CollectionsMarshal.GetValueRefOrAddDefault(_appeared, pair, out _);
        words ??= [];
        if (words.Count == 0 || words[^1] != word) words.Add(word);
    }

    /// <summary>Queues the pairs that appeared since the last call.</summary>
    public void QueueNew()
    {
        foreach (var (pair, words) in _appeared)
        {
            if (_counts[pair] > 0) _queue.Enqueue(new(pair, words), new(_counts[pair], pair));
        }

        _appeared.Clear();
    }

    /// <summary>Takes the most frequent pair; false when none occurs as often as <paramref name="minimum"/>.</summary>
    public bool TryTake(long minimum, out MergeCandidate candidate)
    {
        while (_queue.TryDequeue(out candidate!, out var priority))
        {
            var count = _counts[candidate.Pair];
            if (count == priority.Count) return count >= minimum;

            _queue.Enqueue(candidate, priority with { Count = count });
        }

        return false;
    }

    private readonly record struct Priority(long Count, TokenPair Pair) : IComparable<Priority>
    {
        public int CompareTo(Priority other)
        {
            if (Count != other.Count) return other.Count.CompareTo(Count);
            return Pair.Left != other.Pair.Left ? Pair.Left.CompareTo(other.Pair.Left) : Pair.Right.CompareTo(other.Pair.Right);
        }
    }
}
