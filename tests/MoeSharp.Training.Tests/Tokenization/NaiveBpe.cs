using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MoeSharp.Training.Tests;

/// <summary>Byte-level BPE as one would explain it: slow, obvious, and sharing no code with the library.</summary>
internal sealed class NaiveBpe
{
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private readonly Dictionary<string, int> _vocabulary;
    private readonly List<(string Left, string Right)> _merges;
    private readonly Regex _words;
    private readonly string _special;

    public NaiveBpe(string tokenizerJson, string pattern = Gpt2, string special = "<|endoftext|>")
    {
        using var document = JsonDocument.Parse(tokenizerJson);
        var model = document.RootElement.GetProperty("model");
        _vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetInt32());
        _merges = [.. model.GetProperty("merges").EnumerateArray().Select(merge => (merge[0].GetString()!, merge[1].GetString()!))];
        _words = new(pattern, RegexOptions.CultureInvariant);
        _special = special;
    }

    public List<int> Encode(string text)
    {
        var ids = new List<int>();

        foreach (var (piece, index) in text.Split(_special).Select((piece, index) => (piece, index)))
        {
            if (index > 0) ids.Add(_vocabulary[_special]);
            foreach (var word in Words(piece)) ids.AddRange(Merge(word));
        }

        return ids;
    }

    // .NET sees two surrogates where there is one character: match on stand-ins, one per rune, then take the runes.
    private IEnumerable<string> Words(string text)
    {
        var runes = text.EnumerateRunes().ToArray();
        var standIns = string.Concat(runes.Select(rune =>
            rune.IsBmp ? (char)rune.Value : Rune.IsLetter(rune) ? 'あ' : Rune.IsNumber(rune) ? '9' : '☃'));

        return _words.Matches(standIns).Select(match => string.Concat(runes.Skip(match.Index).Take(match.Length)));
    }

    private List<int> Merge(string word)
    {
        var tokens = Encoding.UTF8.GetBytes(word).Select(value => Character(value).ToString()).ToList();

        foreach (var (left, right) in _merges)
        {
            for (var i = 0; i + 1 < tokens.Count; i++)
            {
                if (tokens[i] != left || tokens[i + 1] != right) continue;
                tokens[i] = left + right;
                tokens.RemoveAt(i + 1);
            }
        }

        return [.. tokens.Select(token => _vocabulary[token])];
    }

    private static char Character(byte value)
    {
        var hidden = Enumerable.Range(0, 256).Where(b => b is <= ' ' or (>= 0x7F and <= 0xA0) or 0xAD).ToList();
        return hidden.IndexOf(value) is >= 0 and var rank ? (char)(256 + rank) : (char)value;
    }
}
