using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A GGUF file of version 2 or 3, little-endian, memory-mapped: opening reads and checks the header, and tensors are read when they are touched.
/// Opened by the first of its shards, a model that is split over files is one source. Checks are those of ggml and of its specification, and
/// stricter where these let contradictions pass; the data are not judged. Reading is safe from several threads at once; closing while
/// others read is not.
/// </summary>
[DebuggerDisplay("{Path}: {Tensors.Count} tensors")]
public sealed class GgufFile : ITensorSource, IMappedFiles, IDisposable
{
    private readonly List<GgufShard> _shards;
    private readonly OrderedDictionary<string, TensorInfo> _places = [];
    private readonly Dictionary<string, (GgufTensor Tensor, MappedFile File)> _tensors = [];

    private GgufFile(List<GgufShard> shards)
    {
        _shards = shards;
        foreach (var shard in shards)
        {
            foreach (var place in shard.Header.Places) _places.Add(place.Name, place);
            foreach (var entry in shard.Header.Entries) _tensors.Add(entry.Tensor.Name, (entry.Tensor, shard.File));
        }

        Architecture = Metadata.GetValueOrDefault(GgufKeys.Architecture)?.GetText();
    }

    /// <summary>The path as given to <see cref="Open"/>.</summary>
    public string Path => _shards[0].File.Path;

    /// <summary>The version of the format: 2 or 3.</summary>
    public int Version => _shards[0].Header.Version;

    /// <summary>The metadata by their keys, in the order of the file; of a model of several files, those of the first.</summary>
    public IReadOnlyDictionary<string, GgufValue> Metadata => _shards[0].Header.Metadata;

    /// <summary>What the model is, <c>general.architecture</c>, and what most other keys start with: such as <c>qwen3moe</c>. Null where the file does not say.</summary>
    public string? Architecture { get; }

    /// <summary>
    /// The tensors by name, in the order of their bytes. Numbers are of their type; blocks are <see cref="TensorType.U8"/>, and their last dimension counts
    /// bytes: <see cref="Info"/> has the shape in numbers. Offsets count from the start of the file that holds the tensor.
    /// </summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _places;

    /// <summary>Opens a file and checks all of its header; where it is the first of several shards, opens all.</summary>
    /// <exception cref="CheckpointException">A file cannot be read, or breaks a rule of the format; the message says which. A shard other than the first.</exception>
    public static GgufFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);

        var shards = new List<GgufShard>();
        try
        {
            GgufShards.Open(path, shards);
            return new GgufFile(shards);
        }
        catch
        {
            foreach (var shard in shards) shard.Dispose();
            throw;
        }
    }

    /// <summary>A value of the metadata that must be there.</summary>
    /// <exception cref="CheckpointException">There is no such key.</exception>
    public GgufValue Value(string key) =>
        Metadata.TryGetValue(key, out var value) ? value : throw new CheckpointException(Path, $"There is no metadata {TensorName.Quote(key)}.");

    /// <summary>A tensor in numbers: its type in the file, and its shape.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name.</exception>
    public GgufTensor Info(string name) => Find(name).Tensor;

    /// <summary>A weight to decode by rows: a matrix [outputs, inputs], or one for each expert of [experts, outputs, inputs]. Nothing is decoded yet.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name, or it is of integers, of <see cref="GgufType.F64"/>, or no matrix or stack of them.</exception>
    public QuantizedWeight Weight(string name)
    {
        var (tensor, file) = Find(name);
        return GgufTypes.Decodable.Contains(tensor.Type)
            ? QuantizedWeights.FromGguf(Data(name), tensor.Type, file.Path)
            : throw new CheckpointException(file.Path, $"Tensor {TensorName.Quote(name)} is {tensor.Type}; expected a type of weights.");
    }

    /// <inheritdoc/>
    public TensorData Data(string name)
    {
        var (_, file) = Find(name);
        return new TensorData(_places[name], file);
    }

    /// <summary>The paths of all shards.</summary>
    internal IEnumerable<string> Files => _shards.Select(shard => shard.File.Path);

    void IMappedFiles.Release()
    {
        foreach (var shard in _shards) shard.File.Release();
    }

    /// <summary>Closes the file; spans from <see cref="TensorData.Bytes"/> must no longer be used.</summary>
    public void Dispose()
    {
        foreach (var shard in _shards) shard.Dispose();
    }

    private (GgufTensor Tensor, MappedFile File) Find(string name) =>
        _tensors.TryGetValue(name, out var found) ? found : throw new CheckpointException(Path, $"There is no tensor {TensorName.Quote(name)}.");
}
