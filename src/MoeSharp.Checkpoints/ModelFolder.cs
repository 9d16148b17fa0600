using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// The weights of a model in a folder, as one set of tensors: <c>model.safetensors</c>, or the shards that
/// <c>model.safetensors.index.json</c> names when there is no such file, or <c>consolidated.safetensors</c> when there is neither. All faults of the folder come in one message. Reading is safe
/// from several threads at once; closing while others read is not.
/// </summary>
[DebuggerDisplay("{Folder}: {Tensors.Count} tensors in {Files.Count} files")]
public sealed class ModelFolder : ITensorSource, IMappedFiles, IDisposable
{
    /// <summary>The name of a model's only weights file.</summary>
    public const string SingleFileName = "model.safetensors";

    /// <summary>Its name where Mistral publishes its own layout.</summary>
    public const string NativeFileName = "consolidated.safetensors";

    private readonly Dictionary<string, SafetensorsFile> _fileOf;

    internal ModelFolder(
        string folder, IReadOnlyList<SafetensorsFile> files, Dictionary<string, SafetensorsFile> fileOf, IReadOnlyList<string> warnings)
    {
        _fileOf = fileOf;
        Folder = folder;
        Files = files;
        Warnings = warnings;

        Tensors = files.Count == 1 && fileOf.Count == files[0].Tensors.Count ? files[0].Tensors : Collect(files);
    }

    /// <summary>The folder as given to <see cref="Open"/>.</summary>
    public string Folder { get; }

    /// <summary>The files the weights are in; they close with this object.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>The tensors of all files by name, file by file in the order of their bytes. Offsets are those in their own file.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>What is odd but harmless, a sentence each; empty as a rule.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Opens the weights of a folder and checks all of their headers.</summary>
    /// <exception cref="CheckpointException">
    /// There are no weights, or files and index are damaged or contradict each other; one message lists all faults.
    /// </exception>
    public static ModelFolder Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);

        if (File.Exists(folder)) throw new CheckpointException(folder, "This is a file; expected a folder with the weights of a model.");
        if (!Directory.Exists(folder)) throw new CheckpointException(folder, "There is no such folder.");
        if (File.Exists(Path.Combine(folder, SingleFileName))) return OpenSingle(folder, SingleFileName);
        if (File.Exists(Path.Combine(folder, ShardIndex.FileName))) return new ShardedModelReader(folder).Open();
        if (File.Exists(Path.Combine(folder, NativeFileName))) return OpenSingle(folder, NativeFileName);

        throw new CheckpointException(folder, HasStrayFiles(folder)
            ? $"The folder has safetensors files but neither {SingleFileName} nor {ShardIndex.FileName}, which says what is where. Fetch the index too."
            : $"The folder has no weights: neither {SingleFileName} nor {ShardIndex.FileName} is there.");
    }

    /// <summary>The bytes of a tensor, as <see cref="SafetensorsFile.Bytes"/> gives them.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name.</exception>
    /// <exception cref="InvalidOperationException">The tensor has more bytes than a span can hold: use <see cref="Read"/>.</exception>
    /// <exception cref="ObjectDisposedException">The folder is closed.</exception>
    public ReadOnlySpan<byte> Bytes(string name) => FileOf(name).Bytes(name);

    /// <summary>Copies a part of a tensor's bytes, as <see cref="SafetensorsFile.Read"/> does.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="byteOffset">Where to start, from the start of the tensor.</param>
    /// <param name="destination">Filled completely; must not reach past the tensor's end.</param>
    /// <exception cref="CheckpointException">There is no tensor of this name, or its file was truncated after it was opened.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The part does not lie in the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The folder is closed.</exception>
    public void Read(string name, long byteOffset, Span<byte> destination) => FileOf(name).Read(name, byteOffset, destination);

    /// <inheritdoc/>
    public TensorData Data(string name) => FileOf(name).Data(name);

    /// <summary>The tensors that are read from a file, in the order of their bytes.</summary>
    internal IEnumerable<TensorInfo> TensorsOf(SafetensorsFile file) => Files.Count == 1 ? Tensors.Values : file.Tensors.Values.Where(tensor => _fileOf.GetValueOrDefault(tensor.Name) == file);

    string ITensorSource.Path => Folder;

    void IMappedFiles.Release()
    {
        foreach (IMappedFiles file in Files) file.Release();
    }

    /// <summary>The file that a tensor is in.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name.</exception>
    public SafetensorsFile FileOf(string name) =>
        _fileOf.TryGetValue(name, out var file) ? file : throw new CheckpointException(Folder, $"There is no tensor {TensorName.Quote(name)}.");

    /// <summary>Closes all files; spans from <see cref="Bytes"/> must no longer be used.</summary>
    public void Dispose()
    {
        foreach (var file in Files) file.Dispose();
    }

    private OrderedDictionary<string, TensorInfo> Collect(IReadOnlyList<SafetensorsFile> files)
    {
        var tensors = new OrderedDictionary<string, TensorInfo>(_fileOf.Count);
        foreach (var file in files)
        {
            foreach (var (name, tensor) in file.Tensors)
            {
                if (_fileOf.TryGetValue(name, out var owner) && owner == file) tensors.Add(name, tensor);
            }
        }

        return tensors;
    }

    private static bool HasStrayFiles(string folder)
    {
        try
        {
            return Directory.EnumerateFiles(folder, "*.safetensors").Any();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(folder, $"The folder cannot be read: {e.Message}", e);
        }
    }

    private static ModelFolder OpenSingle(string folder, string name)
    {
        var file = SafetensorsFile.Open(Path.Combine(folder, name));
        return new ModelFolder(folder, [file], file.Tensors.Keys.ToDictionary(name => name, _ => file), warnings: []);
    }
}
