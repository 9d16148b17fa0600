using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>JSON files of a checkpoint, read whole, with a limit on their size.</summary>
internal static class JsonFile
{
    /// <summary>Parses a file; the caller disposes the document. Repeated names pass: who reads the values must report them.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is too large, or is not JSON.</exception>
    public static JsonDocument Parse(string path, long maximumLength)
    {
        byte[] json = ReadBytes(path, maximumLength);
        try
        {
            var document = JsonDocument.Parse(json);
            DecodeTexts(document.RootElement);
            return document;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid(path, e);
        }
    }

    /// <summary>What a reader of JSON threw, as an error about the file: of texts that are no Unicode it is no <see cref="JsonException"/>.</summary>
    public static CheckpointException Invalid(string path, Exception e) =>
        new(path, e is JsonException ? $"The file is not valid JSON: {e.Message}" : "The file has text that is no Unicode.", e);

    /// <summary>The bytes of a file of JSON.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is too large, or starts with a byte order mark.</exception>
    public static byte[] ReadBytes(string path, long maximumLength)
    {
        try
        {
            long length = new FileInfo(path).Length;
            if (length > maximumLength)
            {
                throw new CheckpointException(path,
                    $"The file has {length} bytes; such a file is expected to have {maximumLength} at most.");
            }

            byte[] json = File.ReadAllBytes(path);
            return json.AsSpan().StartsWith("\uFEFF"u8)
                ? throw new CheckpointException(path, "The file starts with a byte order mark, which JSON forbids. Save it as UTF-8 without one.")
                : json;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(path, $"The file cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Decodes every name and text once, so that bad UTF-8 and lone surrogates show here and nowhere later.</summary>
    private static void DecodeTexts(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.String) element.GetString();
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray()) DecodeTexts(item);
        }

        if (element.ValueKind != JsonValueKind.Object) return;

        foreach (var property in element.EnumerateObject())
        {
            _ = property.Name;
            DecodeTexts(property.Value);
        }
    }
}
