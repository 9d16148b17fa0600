using System.Text;

namespace MoeSharp.Cli;

/// <summary>The tables of a document in Markdown, each between a comment that is the command which writes it and a comment that ends it.</summary>
internal static class MarkdownTables
{
    private const string Begin = "<!-- moesharp bench table ", Close = " -->", End = "<!-- end of table -->";

    /// <summary>A document with its tables written anew, whatever stood in their places.</summary>
    /// <param name="text">The document.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="tableOf">The table of a command's words.</param>
    /// <exception cref="MoeException">The document has no place for a table, or a place without an end.</exception>
    public static string Refresh(string text, string name, Func<string[], string> tableOf)
    {
        var result = new StringBuilder();
        int done = 0;
        for (int begin; (begin = text.IndexOf(Begin, done, StringComparison.Ordinal)) >= 0;)
        {
            int words = begin + Begin.Length, close = text.IndexOf(Close, words, StringComparison.Ordinal);
            int end = text.IndexOf(End, words, StringComparison.Ordinal);
            if (close < 0 || end < close) throw new MoeException($"{name}: a line '{End}' is missing after '{text[begin..].Split('\n')[0].Trim()}'.");

            result.Append(text, done, close + Close.Length - done).Append('\n').Append(tableOf(text[words..close].Split(' ', StringSplitOptions.RemoveEmptyEntries)));
            done = end;
        }

        if (done == 0) throw new MoeException($"{name} has no place for a table; put a line '{Begin}FILE{Close}' and a line '{End}' where it belongs.");

        return result.Append(text, done, text.Length - done).ToString();
    }
}
