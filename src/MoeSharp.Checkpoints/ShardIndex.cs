using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A <c>model.safetensors.index.json</c>: which tensor is in which file, and the total size of all tensors where the writer noted it.
/// </summary>
internal sealed class ShardIndex
{
    public const string FileName = "model.safetensors.index.json";

    private const long MaximumLength = 100_000_000; // as for a header; the largest published index has about ten megabytes

    private ShardIndex(List<KeyValuePair<string, string>> weightMap, long? totalSize)
    {
        WeightMap = weightMap;
        TotalSize = totalSize;
    }

    /// <summary>Tensor and file, in the order of the index. Names may repeat: that is for the reader of the folder to report.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> WeightMap { get; }

    public long? TotalSize { get; }

    /// <summary>Reads an index.</summary>
    /// <exception cref="CheckpointException">It cannot be read, or is no index.</exception>
    public static ShardIndex Read(string path)
    {
        using var document = JsonFile.Parse(path, MaximumLength);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || Single(path, root, "weight_map") is not { ValueKind: JsonValueKind.Object } map)
        {
            throw new CheckpointException(path, "The index needs a 'weight_map' from tensor names to file names.");
        }

        var weightMap = new List<KeyValuePair<string, string>>(map.GetPropertyCount());
        string shard = "";
        foreach (var entry in map.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String)
            {
                throw new CheckpointException(path, $"'weight_map' gives no file name for {TensorName.Quote(entry.Name)}.");
            }
            if (!entry.Value.ValueEquals(shard)) shard = entry.Value.GetString()!; // a string is never null, and most follow each other
            weightMap.Add(new(entry.Name, shard));
        }

        if (weightMap.Count == 0) throw new CheckpointException(path, "'weight_map' is empty: no tensor is in any file.");
        return new ShardIndex(weightMap, ReadTotalSize(path, root));
    }

    private static long? ReadTotalSize(string path, JsonElement root) =>
        Single(path, root, "metadata") is { ValueKind: JsonValueKind.Object } metadata
        && Single(path, metadata, "total_size") is { ValueKind: JsonValueKind.Number } size && size.TryGetInt64(out long bytes) ? bytes : null;

    /// <summary>A property that must not occur twice; null when it is absent.</summary>
    private static JsonElement? Single(string path, JsonElement element, string name)
    {
        JsonElement? found = null;
        foreach (var property in element.EnumerateObject())
        {
            if (!property.NameEquals(name)) continue;
            if (found is not null) throw new CheckpointException(path, $"The index has '{name}' twice.");
            found = property.Value;
        }

        return found;
    }
}
