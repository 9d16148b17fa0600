namespace MoeSharp;

/// <summary>The words that a document spells the values of one option with. Several words may mean one value: the first of them is written.</summary>
internal sealed class Words<T>(params (string Word, T Value)[] pairs)
    where T : struct
{
    /// <summary>What a message says that was expected.</summary>
    public string Expected { get; } = pairs.Length == 1
        ? $"'{pairs[0].Word}'"
        : $"one of {string.Join(", ", pairs.Select(pair => pair.Word))}";

    public T? Find(string word)
    {
        foreach (var pair in pairs)
        {
            if (pair.Word == word) return pair.Value;
        }

        return null;
    }

    /// <exception cref="ArgumentException">The value is no member of its enumeration.</exception>
    public string For(T value)
    {
        foreach (var pair in pairs)
        {
            if (EqualityComparer<T>.Default.Equals(pair.Value, value)) return pair.Word;
        }

        throw new ArgumentException($"{typeof(T).Name} {value} has no word in the format; expected {Expected}.");
    }
}
