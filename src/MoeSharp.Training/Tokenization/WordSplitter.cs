namespace MoeSharp.Training;

/// <summary>A word of a text: the unit that BPE merges within.</summary>
internal readonly record struct Word(int Start, int Length);

/// <summary>Cuts text into words; what Hugging Face tokenizers call a pre-tokenizer. Thread-safe.</summary>
internal abstract class WordSplitter
{
    /// <summary>Appends the words of the text, in order, each shifted by <paramref name="offset"/>.</summary>
    public abstract void Split(ReadOnlySpan<char> text, int offset, List<Word> words);
}

/// <summary>Every text is one word.</summary>
internal sealed class WholeTextSplitter : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, int offset, List<Word> words)
    {
        if (!text.IsEmpty) words.Add(new(offset, text.Length));
    }
}

/// <summary>Applies splitters one after the other, each to the words of the one before.</summary>
internal sealed class ChainedSplitter(IReadOnlyList<WordSplitter> splitters) : WordSplitter
{
    public override void Split(ReadOnlySpan<char> text, int offset, List<Word> words)
    {
        var current = new List<Word> { new(0, text.Length) };

        foreach (var splitter in splitters)
        {
            var next = new List<Word>();
            foreach (var word in current) splitter.Split(text.Slice(word.Start, word.Length), word.Start, next);
            current = next;
        }

        foreach (var word in current) words.Add(word with { Start = word.Start + offset });
    }
}
