using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A safetensors file, memory-mapped: opening reads and checks the header, and tensors are read when they are touched. Checks are
/// those of the reference implementation, and stricter where it lets contradictions pass; the data are not judged. Reading is safe
/// from several threads at once; closing while others read is not.
/// </summary>
[DebuggerDisplay("{Path}: {Tensors.Count} tensors")]
public sealed class SafetensorsFile : ITensorSource, IMappedFiles, IDisposable
{
    private readonly MappedFile _file;

    private SafetensorsFile(MappedFile file, SafetensorsHeader header)
    {
        _file = file;
        Metadata = header.Metadata;
        Tensors = header.Tensors;
    }

    /// <summary>The path as given to <see cref="Open"/>.</summary>
    public string Path => _file.Path;

    /// <summary>The texts under <c>__metadata__</c>; empty when there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensors by name, in the order of their bytes in the file.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Opens a file and checks all of its header.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, or breaks a rule of the format; the message says which.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);

        var file = MappedFile.Open(path);
        try
        {
            return new SafetensorsFile(file, SafetensorsHeader.Read(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The bytes of a tensor, little-endian and row-major, without copying; valid until the file is disposed. They are not necessarily
    /// aligned, and touching them after another process truncated the file ends this one: the price of a mapping. <see cref="Read"/> has neither trait.
    /// </summary>
    /// <exception cref="CheckpointException">There is no tensor of this name.</exception>
    /// <exception cref="InvalidOperationException">The tensor has more bytes than a span can hold (2^31 - 1): use <see cref="Read"/>.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        var tensor = Find(name);
        if (tensor.ByteCount > int.MaxValue)
        {
            throw new InvalidOperationException(
                $"Tensor '{name}' has {tensor.ByteCount} bytes, more than a span can hold: read it in parts with {nameof(Read)}.");
        }

        return _file.Bytes(tensor.Offset, (int)tensor.ByteCount);
    }

    /// <summary>Copies a part of a tensor's bytes; the way to read tensors of any size.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="byteOffset">Where to start, from the start of the tensor.</param>
    /// <param name="destination">Filled completely; must not reach past the tensor's end.</param>
    /// <exception cref="CheckpointException">There is no tensor of this name, or the file was truncated after it was opened.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The part does not lie in the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public void Read(string name, long byteOffset, Span<byte> destination)
    {
        var tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(byteOffset, tensor.ByteCount - destination.Length);

        _file.Read(tensor.Offset + byteOffset, destination);
    }

    /// <inheritdoc/>
    public TensorData Data(string name) => new(Find(name), _file);

    void IMappedFiles.Release() => _file.Release();

    /// <summary>Closes the file; spans from <see cref="Bytes"/> must no longer be used.</summary>
    public void Dispose() => _file.Dispose();

    private TensorInfo Find(string name) =>
        Tensors.TryGetValue(name, out var tensor) ? tensor : throw new CheckpointException(Path, $"There is no tensor {TensorName.Quote(name)}.");
}
