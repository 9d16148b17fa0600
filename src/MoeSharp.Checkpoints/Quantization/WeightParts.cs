namespace MoeSharp.Checkpoints;

/// <summary>
/// The tensors that make up one quantized weight, found by their names, and what is wrong with them. Readers of formats ask for parts and
/// check them here; whatever they find lands in one list.
/// </summary>
internal sealed class WeightParts
{
    private readonly Dictionary<string, TensorData> _parts;
    private readonly List<string> _faults;
    private readonly List<string> _warnings;

    public WeightParts(string name, Dictionary<string, TensorData> parts)
        : this(name, parts, [], [])
    {
    }

    private WeightParts(string name, Dictionary<string, TensorData> parts, List<string> faults, List<string> warnings)
    {
        (Name, _parts, _faults, _warnings) = (name, parts, faults, warnings);
    }

    /// <summary>The module, such as <c>model.layers.0.mlp.experts.3.gate_proj</c>.</summary>
    public string Name { get; }

    public IReadOnlyList<string> Faults => _faults;

    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Whether values that could contradict, such as scales, are read for it. Shapes and group indices, which matrices need, are read anyhow.</summary>
    public bool ChecksValues { get; init; } = true;

    /// <summary>The names of all of its tensors.</summary>
    public IReadOnlyList<string> TensorNames => [.. _parts.Values.Select(part => part.Info.Name)];

    public bool Has(string part) => _parts.ContainsKey(part);

    /// <summary>A part, or null.</summary>
    public TensorData? Find(string part) => _parts.GetValueOrDefault(part);

    /// <summary>The first of several parts that is there, or null.</summary>
    public TensorData? FindAny(params ReadOnlySpan<string> parts)
    {
        foreach (string part in parts)
        {
            if (Find(part) is { } found) return found;
        }

        return null;
    }

    /// <summary>A part; when it is missing, null and a fault.</summary>
    public TensorData? Require(string part, string why)
    {
        var found = Find(part);
        Fault(found is null, $"Tensor {TensorName.Quote(Name + part)} is missing; {why}.");
        return found;
    }

    /// <summary>Notes a fault. One that every expert of a stack has is noted once.</summary>
    public bool Fault(bool isFaulty, string fault)
    {
        if (isFaulty && !_faults.Contains(fault)) _faults.Add(fault);
        return isFaulty;
    }

    public void Warn(bool isOdd, string warning)
    {
        if (isOdd && !_warnings.Contains(warning)) _warnings.Add(warning);
    }

    /// <summary>Checks the type of a tensor.</summary>
    public bool IsOf(TensorData tensor, params ReadOnlySpan<TensorType> types)
    {
        var type = tensor.Info.Type;
        if (types.Contains(type)) return true;

        string expected = string.Join(" or ", types.ToArray().Select(allowed => allowed.FileName()));
        return !Fault(true, $"Tensor {TensorName.Quote(tensor.Info.Name)} is {type.FileName()}; expected {expected}.");
    }

    /// <summary>Checks the shape of a tensor.</summary>
    public bool HasShape(TensorData tensor, string why, params ReadOnlySpan<long> shape)
    {
        if (tensor.Info.Shape.SequenceEqual(shape.ToArray())) return true;

        return !Fault(true, $"Tensor {Shown(tensor)}; expected [{string.Join(", ", shape.ToArray())}]: {why}.");
    }

    /// <summary>Checks that a tensor has two dimensions of 1 to 2^31 - 1.</summary>
    public bool IsMatrix(TensorData tensor)
    {
        var shape = tensor.Info.Shape;
        return !Fault(shape.Count != 2 || shape.Any(size => size is < 1 or > int.MaxValue), $"Tensor {Shown(tensor)}; expected a matrix.");
    }

    /// <summary>Warns of scales that are no positive numbers, and refuses exponents that stand for NaN.</summary>
    public void CheckScales(TensorData scales)
    {
        if (!ChecksValues) return;

        string name = TensorName.Quote(scales.Info.Name);
        if (ScaleValues.Exponents.Contains(scales.Info.Type))
        {
            Fault(ScaleValues.HasByte(scales, 0xff), $"Tensor {name} has the exponent 255, which is not a number.");
            return;
        }

        var oddity = ScaleValues.FindOddity(scales);
        Warn(oddity == ScaleOddity.NotFinite, $"Tensor {name} has scales that are not finite; the weights they scale are not either.");
        Warn(oddity == ScaleOddity.Negative, $"Tensor {name} has negative scales.");
    }

    /// <summary>
    /// The parts of one expert of a stack. What has no entry for each expert is left as it is: a number for all, or a fault for the reader to find.
    /// </summary>
    public WeightParts OfExpert(long expert, long experts) => new(
        Name,
        _parts.ToDictionary(part => part.Key, part => HasEntries(part.Value.Info, experts) ? part.Value.Slice(expert) : part.Value),
        _faults,
        _warnings)
    {
        ChecksValues = ChecksValues,
    };

    // of types smaller than a byte an entry may end inside one
    private static bool HasEntries(TensorInfo info, long experts) => info.Shape is [var first, ..] && first == experts && info.ByteCount % experts == 0;

    /// <summary>For messages: <c>'name' is F32 [2, 3]</c>.</summary>
    public static string Shown(TensorData tensor) =>
        $"{TensorName.Quote(tensor.Info.Name)} is {tensor.Info.Type.FileName()} [{string.Join(", ", tensor.Info.Shape)}]";
}
