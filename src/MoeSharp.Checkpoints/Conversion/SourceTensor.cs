namespace MoeSharp.Checkpoints;

/// <summary>A tensor of a conversion's source: what the target has of it, before its type changes.</summary>
/// <param name="Name">Its name in the target.</param>
/// <param name="Shape">Its shape there.</param>
/// <param name="From">The names of the source's tensors that it is made of.</param>
/// <param name="Matrices">Its numbers as matrices whose rows follow each other; a list is a column. Empty where they are no weights, such as integers.</param>
internal sealed record SourceTensor(string Name, IReadOnlyList<long> Shape, IReadOnlyList<string> From, IReadOnlyList<WeightMatrix> Matrices)
{
    /// <summary>The tensor itself where its bytes are what is meant; null where they are in another order, or encoded.</summary>
    public TensorData? Data { get; init; }

    /// <summary>The rows of all matrices as one, where that is one.</summary>
    public WeightMatrix Matrix => Matrices is [var only] ? only : throw new InvalidOperationException($"{Name} is no matrix.");

    /// <summary>The type of its numbers where they are stored plainly; null for quantized ones.</summary>
    public TensorType? Type => Data?.Info.Type ?? (Matrices.All(matrix => matrix.PlainType == Matrices[0].PlainType) ? Matrices[0].PlainType : null);

    /// <summary>A tensor as it lies in the source; the blocks of GGUF files are weights.</summary>
    public static SourceTensor Of(ITensorSource source, string name)
    {
        var data = source.Data(name);
        if (source is GgufFile gguf && !PlainMatrix.Types.Contains(data.Info.Type) && GgufTypes.Decodable.Contains(gguf.Info(name).Type))
        {
            var weight = gguf.Weight(name);
            return new(name, weight.Shape, [name], weight.Matrices);
        }

        return new(name, data.Info.Shape, [name], Rows(data)) { Data = data };
    }

    /// <summary>The quantized weights of a source that are made of several tensors, or known by their type; those of GGUF files are one tensor each.</summary>
    public static IReadOnlyList<WeightParts> Quantized(ITensorSource source) => source is GgufFile ? [] : QuantizedNames.Find(source, valueLimit: 0).Weights;

    /// <summary>The same by another name.</summary>
    public SourceTensor As(string name) => this with { Name = name };

    /// <summary>What other matrices make of it.</summary>
    public SourceTensor With(IReadOnlyList<WeightMatrix> matrices, params IReadOnlyList<long> shape) => this with { Shape = shape, Matrices = matrices, Data = null };

    private static IReadOnlyList<WeightMatrix> Rows(TensorData data)
    {
        if (!PlainMatrix.Types.Contains(data.Info.Type) || data.Info.ByteCount == 0 || data.Info.Shape.Any(size => size > int.MaxValue)) return [];

        return data.Info.Shape switch
        {
            [] => [new PlainMatrix(1, 1, data)],
            [var count] => [new PlainMatrix((int)count, 1, data)],
            [var rows, var columns] => [new PlainMatrix((int)rows, (int)columns, data)],
            [var count, ..] => [.. Enumerable.Range(0, (int)count).Select(index => Folded(data.Slice(index)))],
        };
    }

    private static PlainMatrix Folded(TensorData data)
    {
        long columns = data.Info.Shape[^1], rows = data.Info.Shape.SkipLast(1).Aggregate(1L, (product, size) => product * size);
        return new((int)rows, (int)columns, data);
    }
}
