using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A tensor and where its bytes are: part of a mapped file, or memory. Nothing is read or copied before <see cref="Bytes"/>; of a file
/// that was closed, that fails. Tensors may have more bytes than a span holds. Immutable, and safe from several threads.
/// </summary>
[DebuggerDisplay("{Info}")]
public sealed class TensorData
{
    private readonly IByteSource _source;

    internal TensorData(TensorInfo info, IByteSource source)
    {
        (Info, _source) = (info, source);
    }

    /// <summary>Name, type and shape; its <see cref="TensorInfo.Offset"/> counts from the start of the file or memory.</summary>
    public TensorInfo Info { get; }

    /// <summary>A tensor in memory.</summary>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="type">The type of its elements.</param>
    /// <param name="shape">Its sizes, slowest first.</param>
    /// <param name="bytes">Exactly its bytes, little-endian and row-major; not copied.</param>
    /// <exception cref="ArgumentException">The bytes are not those of such a tensor.</exception>
    public static TensorData FromMemory(string name, TensorType type, IReadOnlyList<long> shape, ReadOnlyMemory<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(shape);
        if (shape.Any(size => size < 0)) throw new ArgumentException($"The shape is [{string.Join(", ", shape)}]; sizes are 0 or more.", nameof(shape));
        if (!type.TryGetByteCount(shape, out long count, out string? fault)) throw new ArgumentException(fault, nameof(shape));
        if (count != bytes.Length) throw new ArgumentException($"There are {bytes.Length} bytes; expected {count}.", nameof(bytes));

        return new TensorData(new TensorInfo(name, type, shape, 0, count), new MemoryBytes(bytes));
    }

    /// <summary>Bytes of the tensor without copying, not necessarily aligned; valid until its file is closed.</summary>
    /// <param name="offset">Where to start, from the start of the tensor.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="ArgumentOutOfRangeException">They do not lie in the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Info.ByteCount - offset);

        return _source.Bytes(Info.Offset + offset, count);
    }

    /// <summary>Copies bytes of the tensor: unlike <see cref="Bytes"/> it leaves no page of the file mapped, and reports a failing disk.</summary>
    /// <param name="offset">Where to start, from the start of the tensor.</param>
    /// <param name="destination">Filled completely; must not reach past the tensor's end.</param>
    /// <exception cref="ArgumentOutOfRangeException">They do not lie in the tensor.</exception>
    /// <exception cref="CheckpointException">The file was truncated after it was opened.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, Info.ByteCount - offset);

        _source.Read(Info.Offset + offset, destination);
    }

    /// <summary>One of the tensors that a tensor stacks: entry <paramref name="index"/> of its first dimension.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such entry.</exception>
    /// <exception cref="InvalidOperationException">The tensor is a scalar, or its entries are no whole numbers of bytes.</exception>
    public TensorData Slice(long index)
    {
        if (Info.Shape.Count == 0) throw new InvalidOperationException($"{Info} has no entries.");
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Info.Shape[0]);

        long[] shape = [.. Info.Shape.Skip(1)];
        return Part(index * CountBytes(shape), shape);
    }

    /// <summary>A part of the tensor, as a tensor of another shape; the caller has checked that it lies in it.</summary>
    internal TensorData Part(long offset, IReadOnlyList<long> shape) => new(Info with { Shape = shape, Offset = Info.Offset + offset, ByteCount = CountBytes(shape) }, _source);

    private long CountBytes(IReadOnlyList<long> shape) =>
        Info.Type.TryGetByteCount(shape, out long bytes, out string? fault) ? bytes : throw new InvalidOperationException($"An entry of {Info}: {fault}.");
}
