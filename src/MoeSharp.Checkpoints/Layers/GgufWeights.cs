namespace MoeSharp.Checkpoints;

/// <summary>The weights of a GGUF file.</summary>
internal sealed class GgufWeights(GgufFile file) : IWeightIndex
{
    /// <inheritdoc/>
    public bool Has(string name, bool isBlocks = false) => !isBlocks && file.Tensors.ContainsKey($"{name}{QuantizedNames.Weight}");

    /// <inheritdoc/>
    public IReadOnlyList<string> TensorsOf(string name) => Has(name) ? [$"{name}{QuantizedNames.Weight}"] : [];

    /// <inheritdoc/>
    public FoundWeight? Find(string name, bool isBlocks, string suffix, List<string> faults)
    {
        if (!Has(name, isBlocks))
        {
            faults.Add($"Tensor {TensorName.Quote(name + suffix)} is missing.");
            return null;
        }

        var info = file.Info($"{name}{QuantizedNames.Weight}");
        long[] shape = info.Shape.Count == 1 ? [1, info.Shape[0]] : [.. info.Shape];       // a matrix of one row is written as a list
        var data = file.Data(info.Name);
        if (PlainMatrix.Types.Contains(data.Info.Type)) return new(info.Name, info.Type.ToString(), shape, index => Plain(data, shape, index));

        try
        {
            var weight = file.Weight(info.Name);
            return new(info.Name, weight.Format, shape, index => weight.Matrices[index]) { IsQuantized = true };
        }
        catch (CheckpointException e)
        {
            faults.Add(e.Message);
            return null;
        }
    }

    /// <inheritdoc/>
    public TensorData? FindVector(string name, List<string> faults, params ReadOnlySpan<long[]> shapes) => WeightIndex.FindVector(file, name, faults, shapes);

    private static PlainMatrix Plain(TensorData data, long[] shape, int index)
    {
        long size = shape[^2] * shape[^1] * data.Info.Type.BitSize() / 8;
        return new((int)shape[^2], (int)shape[^1], data.Part(index * size, [shape[^2], shape[^1]]));
    }
}
