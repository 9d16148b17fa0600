namespace MoeSharp.Checkpoints;

/// <summary>
/// One tensor of a GGUF file as the model sees it: in numbers, not in bytes of blocks. Equal when all of it is equal, the shape element by element.
/// </summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Type">The type of its numbers.</param>
/// <param name="Shape">Its sizes in numbers, slowest first: a weight is [outputs, inputs] or [experts, outputs, inputs]. GGUF itself lists them the other way round.</param>
public sealed record GgufTensor(string Name, GgufType Type, IReadOnlyList<long> Shape)
{
    /// <inheritdoc/>
    public bool Equals(GgufTensor? other) => other is not null && Name == other.Name && Type == other.Type && Shape.SequenceEqual(other.Shape);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Type);

    /// <summary>Name, type and shape, as in <c>output.weight Q6_K [151936, 2048]</c>.</summary>
    public override string ToString() => $"{Name} {Type} [{string.Join(", ", Shape)}]";
}
