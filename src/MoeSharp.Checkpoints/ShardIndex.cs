namespace MoeSharp.Checkpoints;

/// <summary>
/// A <c>model.safetensors.index.json</c>: which tensor is in which file, and the total size of all tensors where the writer noted it.
/// </summary>
/// <param name="WeightMap">Tensor and file, in the order of the index. Names may repeat: that is for the reader of the folder to report.</param>
/// <param name="TotalSize">The bytes of all tensors; null where the index does not say.</param>
internal sealed record ShardIndex(IReadOnlyList<KeyValuePair<string, string>> WeightMap, long? TotalSize)
{
    public const string FileName = "model.safetensors.index.json";

    private const long MaximumLength = 100_000_000; // as for a header; the largest published index has about ten megabytes

    /// <summary>Reads an index.</summary>
    /// <exception cref="CheckpointException">It cannot be read, or is no index.</exception>
    public static ShardIndex Read(string path) => new ShardIndexParser(path, JsonFile.ReadBytes(path, MaximumLength)).Parse();
}
