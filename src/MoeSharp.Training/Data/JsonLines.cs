using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>Reads JSON lines: an object a line, whose <c>text</c> is a document.</summary>
internal static class JsonLines
{
    /// <summary>The documents, named by file and line; empty lines are passed over, and so are empty texts.</summary>
    /// <exception cref="MoeException">A line is no JSON object with a text; the message says which.</exception>
    public static IReadOnlyList<TextDocument> Read(string path, string text)
    {
        var documents = new List<TextDocument>();
        var number = 0;

        foreach (var range in text.AsSpan().Split('\n'))
        {
            var line = text.AsSpan(range);
            number++;
            if (line.IsWhiteSpace()) continue;

            var content = Text(line, out var fault)
                ?? throw new MoeException($"{path}, line {number}: {fault}. Expected an object with the text as \"text\".");
            if (!string.IsNullOrWhiteSpace(content)) documents.Add(new($"{path}:{number}", content));
        }

        return documents;
    }

    /// <summary>Whether the first line that is not empty is an object with a text, which makes a .json file one of JSON lines.</summary>
    public static bool StartsWithText(string text)
    {
        var rest = text.AsSpan().TrimStart();
        var end = rest.IndexOf('\n');
        return Text(end < 0 ? rest : rest[..end], out _) is not null;
    }

    private static string? Text(ReadOnlySpan<char> line, out string fault)
    {
        try
        {
            using var document = JsonDocument.Parse(line.ToString());
            fault = "the line has no text";
            return document.RootElement.ValueKind == JsonValueKind.Object ? TokenizerFields.Text(document.RootElement, "text") : null;
        }
        catch (JsonException error)
        {
            fault = $"not JSON ({error.Message.Split(" LineNumber")[0]})";
            return null;
        }
        catch (InvalidOperationException error)
        {
            fault = $"the text is not Unicode ({error.Message})";
            return null;
        }
    }
}
