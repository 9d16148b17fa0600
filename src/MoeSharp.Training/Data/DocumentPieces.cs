namespace MoeSharp.Training;

/// <summary>Cuts a single document into contiguous pieces, so that a part of it can be held out.</summary>
internal static class DocumentPieces
{
    private const int MostPieces = 64;

    /// <summary>Up to 64 pieces of about equal length, cut at line ends; in a text of one line behind spaces, in one of one word anywhere.</summary>
    public static IEnumerable<string> Of(string text)
    {
        var length = Math.Max(1, text.Length / MostPieces);
        var start = 0;

        while (text.Length - start > length && EndOfPiece(text, start + length) is var end && end < text.Length)
        {
            yield return text[start..end];
            start = end;
        }

        yield return text[start..];
    }

    private static int EndOfPiece(string text, int earliest)
    {
        char[] separators = ['\n', ' '];
        var separator = Array.Find(separators, separator => text.AsSpan(0, text.Length - 1).Contains(separator));
        if (separator != default) return text.IndexOf(separator, earliest - 1) is >= 0 and var at ? at + 1 : text.Length;

        return char.IsLowSurrogate(text[earliest]) ? earliest + 1 : earliest;
    }
}
