using System.Text;

namespace MoeSharp.Training;

/// <summary>What .NET strings can hold and UTF-8 cannot.</summary>
internal static class Utf16
{
    /// <summary>The text with U+FFFD in place of each half of a surrogate pair, as UTF-8 encoders write it.</summary>
    public static string WithoutLoneSurrogates(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return text;

        var repaired = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes()) repaired.Append(rune);       // EnumerateRunes replaces what is invalid

        return repaired.ToString();
    }
}
