using System.Text;
using Microsoft.ML.Tokenizers;

namespace MoeSharp.Training;

/// <summary>What is needed to turn words into ids: Microsoft's BPE and what it does not know of. Thread-safe.</summary>
internal sealed class WordEncoding(TokenizerModel model)
{
    private readonly BpeTokenizer _bpe = BpeTokenizer.Create(new BpeOptions(model.Vocabulary)
    {
        Merges = model.Merges.Select(merge => $"{merge.Left} {merge.Right}"),
        ByteLevel = true,
        UnknownToken = model.UnknownToken,
        FuseUnknownTokens = model.FusesUnknown,
    });

    private const int LongWord = 2048;

    private readonly Lazy<LongWordMerger> _longWords = new(() => new(model));

    public WordSplitter Splitter => model.Splitter;

    public bool AddsPrefixSpace => model.AddsPrefixSpace;

    /// <summary>The ids of one word.</summary>
    public int[] Encode(ReadOnlySpan<char> word)
    {
        if (model.IgnoresMerges && model.Vocabulary.TryGetValue(ByteAlphabet.Encode(word), out var whole)) return [whole];

        if (word.Length >= LongWord && _longWords.Value.Merge(Encoding.UTF8.GetBytes(word.ToArray())) is { } merged) return merged;

        return [.. _bpe.EncodeToIds(word, considerPreTokenization: false, considerNormalization: false)];
    }
}

/// <summary>Encodes texts word by word, remembering the words it has seen: most of a text is words seen before. Not thread-safe.</summary>
internal sealed class WordEncoder
{
    private const int LargestWord = 64;
    private const int MostWords = 1 << 17;

    private readonly WordEncoding _encoding;
    private readonly List<Word> _words = [];
    private readonly Dictionary<string, int[]> _seen = [];
    private readonly Dictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _seenBySpan;

    public WordEncoder(WordEncoding encoding)
    {
        _encoding = encoding;
        _seenBySpan = _seen.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Appends the ids of a text without added tokens in it.</summary>
    public void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        if (_encoding.AddsPrefixSpace && text is not [' ', ..]) text = $" {text}";

        _words.Clear();
        _encoding.Splitter.Split(text, 0, _words);
        foreach (var word in _words) ids.AddRange(Ids(text.Slice(word.Start, word.Length)));
    }

    private ReadOnlySpan<int> Ids(ReadOnlySpan<char> word)
    {
        if (_seenBySpan.TryGetValue(word, out var ids)) return ids;

        ids = _encoding.Encode(word);
        if (word.Length <= LargestWord && _seen.Count < MostWords) _seenBySpan[word] = ids;

        return ids;
    }
}
