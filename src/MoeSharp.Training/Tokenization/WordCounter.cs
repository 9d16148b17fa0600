using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace MoeSharp.Training;

/// <summary>Counts the distinct words of many texts, on all cores.</summary>
internal static class WordCounter
{
    private const int PieceLength = 1 << 19;

    /// <summary>The distinct words in ordinal order, with how often each occurs: the same for any number of threads.</summary>
    public static IReadOnlyList<KeyValuePair<string, long>> Count(
        IEnumerable<string> texts, Action<long> charactersDone, CancellationToken cancellation)
    {
        var finished = new ConcurrentBag<Dictionary<string, long>>();
        var options = new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount };
        var done = 0L;

        Parallel.ForEach(
            texts.SelectMany(Pieces),
            options,
            () => new Dictionary<string, long>(),
            (piece, _, counts) =>
            {
                CountWords(piece.Span, counts);
                charactersDone(Interlocked.Add(ref done, piece.Length));
                return counts;
            },
            finished.Add);

        return Sum(finished);
    }

    // A long text is cut where a word certainly ends: in front of a space that follows none.
    private static IEnumerable<ReadOnlyMemory<char>> Pieces(string text)
    {
        var start = 0;

        while (text.Length - start > PieceLength)
        {
            var end = start + PieceLength;
            while (end < text.Length && !(char.IsWhiteSpace(text[end]) && !char.IsWhiteSpace(text[end - 1]))) end++;
            yield return text.AsMemory(start, end - start);
            start = end;
        }

        if (start < text.Length) yield return text.AsMemory(start);
    }

    private static void CountWords(ReadOnlySpan<char> text, Dictionary<string, long> counts)
    {
        var bySpan = counts.GetAlternateLookup<ReadOnlySpan<char>>();

        for (var start = 0; start < text.Length;)
        {
            var end = Gpt2Splitter.EndOfWord(text, start);
            CollectionsMarshal.GetValueRefOrAddDefault(bySpan, text[start..end], out _)++;
            start = end;
        }
    }

    private static List<KeyValuePair<string, long>> Sum(IEnumerable<Dictionary<string, long>> parts)
    {
        var total = new Dictionary<string, long>();

        foreach (var part in parts)
        {
            foreach (var (word, count) in part) CollectionsMarshal.GetValueRefOrAddDefault(total, word, out _) += count;
        }

        var sorted = total.ToList();
        sorted.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        return sorted;
    }
}
