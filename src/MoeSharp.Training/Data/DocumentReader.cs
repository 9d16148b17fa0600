namespace MoeSharp.Training;

/// <summary>Turns a file into documents.</summary>
internal static class DocumentReader
{
    /// <summary>The documents of a file: none when it is empty, null when it is binary and nobody named it.</summary>
    /// <exception cref="MoeException">A named file is binary, a gzip file is damaged, or a line of JSON lines has no text.</exception>
    public static IReadOnlyList<TextDocument>? Read(DataSource source)
    {
        var (name, bytes) = Content(source.Path);
        var text = TextEncoding.Decode(bytes);

        if (text is null && source.IsNamed) throw new MoeException($"{source.Path} is not text: it holds NUL bytes or is not valid UTF-8.");
        if (string.IsNullOrWhiteSpace(text)) return text is null ? null : [];

        return IsJsonLines(name, text) ? JsonLines.Read(source.Path, text) : [new(source.Path, text)];
    }

    private static (string Name, byte[] Bytes) Content(string path)
    {
        try
        {
            var bytes = File.ReadAllBytes(path);
            var isCompressed = Path.GetExtension(path).Equals(".gz", StringComparison.OrdinalIgnoreCase);
            return isCompressed ? (Path.GetFileNameWithoutExtension(path), GzipFile.Decompress(path, bytes)) : (path, bytes);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{path} cannot be read: {error.Message}", error);
        }
    }

    // .json is both: one value over many lines, or a value a line
    private static bool IsJsonLines(string name, string text) => Path.GetExtension(name).ToUpperInvariant() switch
    {
        ".JSONL" or ".NDJSON" => true,
        ".JSON" => JsonLines.StartsWithText(text),
        _ => false,
    };
}
