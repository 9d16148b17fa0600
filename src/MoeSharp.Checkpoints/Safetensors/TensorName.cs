using System.Buffers;
using System.Globalization;
using System.Text;

namespace MoeSharp.Checkpoints;

/// <summary>What a tensor may be called, and how a name out of a file is shown without trusting it.</summary>
internal static class TensorName
{
    public const int MaximumLength = 4096;

    private static readonly SearchValues<char> Deceptive = SearchValues.Create([.. Enumerable.Range(0, char.MaxValue + 1).Select(c => (char)c).Where(IsDeceptive)]);

    /// <summary>What is wrong with a name, or null.</summary>
    public static string? FindFault(string name)
    {
        if (name.Length > MaximumLength) return $"is {name.Length} characters long; the limit is {MaximumLength}";

        int at = name.AsSpan().IndexOfAny(Deceptive);
        return at < 0 ? null : $"has the character U+{(int)name[at]:X4}, which terminals obey instead of showing it";
    }

    /// <summary>A name or a value from a file in quotes, shortened, with everything escaped that a terminal would obey.</summary>
    public static string Quote(string? text)
    {
        const int Shown = 200;

        var quoted = new StringBuilder("'");
        foreach (char c in (text ?? "").AsSpan(0, Math.Min(text?.Length ?? 0, Shown)))
        {
            if (IsDeceptive(c)) quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else quoted.Append(c);
        }

        return quoted.Append(text?.Length > Shown ? "…'" : "'").ToString();
    }

    /// <summary>Control characters, line separators, and the marks that reorder text on the screen.</summary>
    private static bool IsDeceptive(char c) =>
        char.IsControl(c) || c is '\u061c' or '\u200e' or '\u200f' or (>= '\u2028' and <= '\u202e') or (>= '\u2066' and <= '\u2069');
}
