using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A file in the target of a conversion that is not finished: which conversion it is, and what it writes. With it a run continues what another
/// began; the last thing that a conversion does is to delete it.
/// </summary>
/// <param name="Plan">A hash of all that decides the target's bytes.</param>
/// <param name="Files">The names of the files that the conversion writes.</param>
internal sealed record ConversionManifest(string Plan, IReadOnlyList<string> Files)
{
    public const string FileName = ".moesharp-conversion.json";

    private const long MaximumLength = 10_000_000;

    /// <summary>The manifest of a plan.</summary>
    public static ConversionManifest Of(MoeCheckpoint source, ConversionOptions options, IReadOnlyList<IReadOnlyList<TensorToWrite>> shards, IReadOnlyList<string> files)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Path.GetFullPath(source.Path)}|{options.Layout}|{options.Type}|{options.Dequantizes}|{string.Join(",", options.Layers ?? [])}\n");
        foreach (string file in SourceFiles(source).Order(StringComparer.Ordinal)) text.Append(CultureInfo.InvariantCulture, $"{file}|{new FileInfo(file).Length}|{File.GetLastWriteTimeUtc(file).Ticks}\n");
        foreach (var shard in shards)
        {
            foreach (var tensor in shard) text.Append(CultureInfo.InvariantCulture, $"{tensor.Name}|{tensor.Type}|{string.Join(",", tensor.Shape)}\n");
            text.Append('\n');
        }

        return new(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()))), files);
    }

    /// <summary>The manifest in a folder; null where there is none.</summary>
    /// <exception cref="CheckpointException">There is one that cannot be read.</exception>
    public static ConversionManifest? Find(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;

        using var document = JsonFile.Parse(path, MaximumLength);
        if (document.RootElement is { ValueKind: JsonValueKind.Object } root && root.TryGetProperty("plan", out var plan) && plan.ValueKind == JsonValueKind.String
            && root.TryGetProperty("files", out var files) && files.ValueKind == JsonValueKind.Array && files.EnumerateArray().All(IsPlainName))
        {
            return new(plan.GetString()!, [.. files.EnumerateArray().Select(file => file.GetString()!)]);        // a string is never null
        }

        throw new CheckpointException(path, "This is no record of a conversion. Delete the folder, or choose another.");
    }

    /// <summary>Writes it into a folder.</summary>
    public void Write(string folder) => AtomicFile.Write(Path.Combine(folder, FileName), stream =>
    {
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartObject();
        json.WriteString("plan", Plan);
        json.WriteStartArray("files");
        foreach (string file in Files) json.WriteStringValue(file);
        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static IEnumerable<string> SourceFiles(MoeCheckpoint source) => source.Tensors is GgufFile gguf ? gguf.Files : Directory.EnumerateFiles(source.Path);

    private static bool IsPlainName(JsonElement name) => name.ValueKind == JsonValueKind.String && name.GetString() is { } text && Path.GetFileName(text) == text && !text.StartsWith('.');
}
