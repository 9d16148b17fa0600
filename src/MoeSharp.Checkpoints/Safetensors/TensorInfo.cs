namespace MoeSharp.Checkpoints;

/// <summary>
/// One tensor of a file: what the header says of it. Equal when all of it is equal, the shape element by element.
/// </summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its sizes, slowest first, row-major; empty for a scalar. <see cref="TensorType.F4"/> counts elements, not bytes.</param>
/// <param name="Offset">Where its bytes start, from the start of the file. Not necessarily aligned to the element size.</param>
/// <param name="ByteCount">How many bytes it has; possibly more than an array holds.</param>
public sealed record TensorInfo(string Name, TensorType Type, IReadOnlyList<long> Shape, long Offset, long ByteCount)
{
    /// <summary>The first byte after the tensor, from the start of the file.</summary>
    internal long End => Offset + ByteCount;

    /// <inheritdoc/>
    public bool Equals(TensorInfo? other) =>
        other is not null && Name == other.Name && Type == other.Type && Offset == other.Offset && ByteCount == other.ByteCount
        && Shape.SequenceEqual(other.Shape);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Type, Offset, ByteCount);

    /// <summary>Name, type and shape, as in <c>lm_head.weight F32 [96, 32]</c>.</summary>
    public override string ToString() => $"{Name} {Type.FileName()} [{string.Join(", ", Shape)}]";
}
