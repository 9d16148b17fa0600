using System.Text.RegularExpressions;

namespace MoeSharp.Training.Tests;

/// <summary>The upstream trainer (huggingface/tokenizers 0.23, models/bpe/trainer.rs) step by step: sets, lists, a linear search for the best pair.</summary>
internal static class NaiveBpeTrainer
{
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private sealed record Entry(int Left, int Right, long Count, HashSet<int> Words);

    /// <summary>The tokens that the merges make, in the order of their ids.</summary>
    public static List<string> Train(string text, int vocabularySize, int minimumFrequency = 2)
    {
        List<string> tokens = ["<eos>", .. ByteAlphabet.Sorted.Select(character => character.ToString())];
        var groups = Regex.Matches(text, Gpt2).GroupBy(match => match.Value).ToList();
        var words = groups.Select(group => ByteAlphabet.Encode(group.Key).Select(character => tokens.IndexOf(character.ToString())).ToList()).ToList();
        var counts = new Dictionary<(int, int), long>();
        var whereToUpdate = new Dictionary<(int, int), HashSet<int>>();
        var queue = new List<Entry>();

        void Change((int, int) pair, long change, int word)
        {
            counts[pair] = counts.GetValueOrDefault(pair) + change * groups[word].Count();
            if (change < 0) return;
            if (!whereToUpdate.TryGetValue(pair, out var set)) whereToUpdate[pair] = set = [];
            set.Add(word);
        }

        void Drain()
        {
            var positive = whereToUpdate.Where(entry => counts[entry.Key] > 0);
            queue.AddRange(positive.Select(entry => new Entry(entry.Key.Item1, entry.Key.Item2, counts[entry.Key], entry.Value)));
            whereToUpdate.Clear();
        }

        for (var word = 0; word < words.Count; word++)
        {
            for (var i = 1; i < words[word].Count; i++) Change((words[word][i - 1], words[word][i]), 1, word);
        }

        Drain();

        while (tokens.Count < vocabularySize && queue.Count > 0)
        {
            var top = queue.OrderByDescending(entry => entry.Count).ThenBy(entry => entry.Left).ThenBy(entry => entry.Right).First();
            queue.Remove(top);
            if (top.Count != counts[(top.Left, top.Right)])
            {
                queue.Add(top with { Count = counts[(top.Left, top.Right)] });
                continue;
            }

            if (top.Count < Math.Max(1, minimumFrequency)) break;

            var token = tokens[top.Left] + tokens[top.Right];
            if (!tokens.Contains(token)) tokens.Add(token);
            foreach (var word in top.Words) Merge(words[word], top, tokens.IndexOf(token), (pair, change) => Change(pair, change, word));
            Drain();
        }

        return tokens[257..];
    }

    private static void Merge(List<int> symbols, Entry top, int merged, Action<(int, int), long> change)
    {
        for (var i = 0; i < symbols.Count; i++)
        {
            if (symbols[i] != top.Left || i + 1 >= symbols.Count || symbols[i + 1] != top.Right) continue;

            if (i > 0)
            {
                change((symbols[i - 1], top.Left), -1);
                change((symbols[i - 1], merged), 1);
            }

            symbols[i] = merged;
            symbols.RemoveAt(i + 1);
            if (i == symbols.Count - 1) continue;

            change((top.Right, symbols[i + 1]), -1);
            change((merged, symbols[i + 1]), 1);
        }
    }
}
