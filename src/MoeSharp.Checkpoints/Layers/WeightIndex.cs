namespace MoeSharp.Checkpoints;

/// <summary>A weight of a checkpoint under its name without <c>.weight</c>, plain or quantized: one matrix, or several stacked ones.</summary>
/// <param name="Name">The tensor that holds it, for messages.</param>
/// <param name="Type">How its numbers are stored, in words.</param>
/// <param name="Shape">The shape of the weight, decoded.</param>
/// <param name="Matrix">A matrix of it, by its index in the stack.</param>
internal sealed record FoundWeight(string Name, string Type, IReadOnlyList<long> Shape, Func<int, WeightMatrix> Matrix)
{
    /// <summary>Whether it is quantized.</summary>
    public bool IsQuantized { get; init; }
}

/// <summary>The weights of a checkpoint by their names without <c>.weight</c>, whatever the format of its files.</summary>
internal interface IWeightIndex
{
    /// <summary>Whether there is a weight, of whatever kind.</summary>
    bool Has(string name, bool isBlocks = false);

    /// <summary>The names of all tensors that a weight consists of, sound or not; none where it is missing.</summary>
    IReadOnlyList<string> TensorsOf(string name);

    /// <summary>A weight. Null when it is missing, or at fault: then the faults say so.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="isBlocks">Whether it is MXFP4 blocks.</param>
    /// <param name="suffix">What the name of its tensor has more, for the message where it is missing.</param>
    /// <param name="faults">Receives what is wrong.</param>
    FoundWeight? Find(string name, bool isBlocks, string suffix, List<string> faults);

    /// <summary>A tensor of plain numbers, by its full name, in one of several shapes. Null when it is missing, or at fault: then the faults say so.</summary>
    TensorData? FindVector(string name, List<string> faults, params ReadOnlySpan<long[]> shapes);
}

/// <summary>The weights of safetensors files, plain and quantized.</summary>
internal sealed class WeightIndex : IWeightIndex
{
    private readonly ITensorSource _source;
    private readonly QuantizationConfig? _config;
    private readonly Dictionary<string, WeightParts> _quantized;

    /// <param name="source">The tensors.</param>
    /// <param name="config">What their config says of quantized ones; null for nothing.</param>
    /// <param name="prefix">What the names of tensors start with that are looked at.</param>
    /// <param name="valueLimit">Values that could contradict, such as scales, are read when they have no more bytes than this together.</param>
    public WeightIndex(ITensorSource source, QuantizationConfig? config, string prefix = "", long valueLimit = long.MaxValue)
    {
        (_source, _config) = (source, config);
        Parts = QuantizedNames.Find(source, prefix, valueLimit);
        _quantized = Parts.Weights.ToDictionary(parts => parts.Name);
    }

    /// <summary>The tensors of all quantized weights.</summary>
    public QuantizedParts Parts { get; }

    /// <summary>A quantized weight; null when it is at fault: then the faults say so, the first time.</summary>
    public QuantizedWeight? Read(WeightParts parts, List<string> faults) => parts.Read(_config, faults);

    /// <inheritdoc/>
    public bool Has(string name, bool isBlocks = false) =>
        _quantized.TryGetValue(name, out var parts) ? IsBlocks(parts) == isBlocks : !isBlocks && FindPlain(name) is not null;

    /// <inheritdoc/>
    public IReadOnlyList<string> TensorsOf(string name) =>
        _quantized.TryGetValue(name, out var parts) ? parts.TensorNames : FindPlain(name) is { } plain ? [plain.Name] : [];

    /// <inheritdoc/>
    public FoundWeight? Find(string name, bool isBlocks, string suffix, List<string> faults)
    {
        if (_quantized.TryGetValue(name, out var parts) && IsBlocks(parts) == isBlocks) return Quantized(parts, faults);
        if (parts is null && !isBlocks && FindPlain(name) is { } plain) return Plain(plain, faults);

        faults.Add($"Tensor {TensorName.Quote(name + suffix)} is missing.");
        return null;
    }

    /// <inheritdoc/>
    public TensorData? FindVector(string name, List<string> faults, params ReadOnlySpan<long[]> shapes) => FindVector(_source, name, faults, shapes);

    /// <summary>A tensor of plain numbers of a source.</summary>
    public static TensorData? FindVector(ITensorSource source, string name, List<string> faults, ReadOnlySpan<long[]> shapes)
    {
        if (!source.Tensors.TryGetValue(name, out var info))
        {
            faults.Add($"Tensor {TensorName.Quote(name)} is missing.");
            return null;
        }

        bool fits = false;
        foreach (long[] shape in shapes) fits |= info.Shape.SequenceEqual(shape);
        if (!fits) faults.Add($"Tensor {TensorName.Quote(name)} has the shape [{string.Join(", ", info.Shape)}]; the config asks for [{string.Join(", ", shapes[0])}].");
        return fits ? source.Data(name) : null;
    }

    private FoundWeight? Quantized(WeightParts parts, List<string> faults) => Read(parts, faults) is not { } weight ? null :
        new(weight.Name, weight.Format, weight.Shape, index => weight.Matrices[index]) { IsQuantized = true };

    private FoundWeight? Plain(TensorInfo tensor, List<string> faults)
    {
        var (name, type, isStacked) = (tensor.Name, tensor.Type, tensor.Shape.Count == 3);
        if (PlainMatrix.Types.Contains(type)) return new(name, type.FileName(), tensor.Shape, index => Matrix(isStacked ? _source.Data(name).Slice(index) : _source.Data(name)));

        faults.Add($"Tensor {TensorName.Quote(name)} is {type.FileName()}; expected F32, BF16 or F16, or a quantized weight with its scales.");
        return null;
    }

    // its shape was checked before
    private static PlainMatrix Matrix(TensorData data) => new((int)data.Info.Shape[0], (int)data.Info.Shape[1], data);

    private static bool IsBlocks(WeightParts parts) => parts.Has(QuantizedNames.Blocks) || parts.Has(QuantizedNames.BlockScales) || parts.Has(QuantizedNames.DottedBlocks);

    private TensorInfo? FindPlain(string name) =>
        _source.Tensors.TryGetValue($"{name}{QuantizedNames.Weight}", out var tensor) || _source.Tensors.TryGetValue(name, out tensor) ? tensor : null;
}
