using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>
/// The tensors that make up one quantized weight, found by their names, and what is wrong with them. Readers of formats ask for parts and
/// check them here; whatever they find lands in one list.
/// </summary>
internal sealed class WeightParts
{
    private readonly List<WeightPart> _parts;      // a handful, of a hundred thousand weights: a list is smaller and no slower than a table
    private readonly List<string> _faults;
    private readonly List<string> _warnings;
    private (QuantizedWeight? Weight, bool IsRead) _read;
    private ulong _asked;       // a bit for each part

    public WeightParts(string name, List<WeightPart> parts)
        : this(name, parts, [], [])
    {
    }

    private WeightParts(string name, List<WeightPart> parts, List<string> faults, List<string> warnings)
    {
        (Name, _parts, _faults, _warnings) = (name, parts, faults, warnings);
    }

    /// <summary>The module, such as <c>model.layers.0.mlp.experts.3.gate_proj</c>.</summary>
    public string Name { get; }

    public IReadOnlyList<string> Faults => _faults;

    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Whether values that could contradict, such as scales, are read for it. Shapes and group indices, which matrices need, are read anyhow.</summary>
    public bool ChecksValues { get; init; } = true;

    /// <summary>All of its tensors.</summary>
    public ReadOnlySpan<WeightPart> Tensors => CollectionsMarshal.AsSpan(_parts);

    /// <summary>The names of all of its tensors.</summary>
    public IReadOnlyList<string> TensorNames => _parts.ConvertAll(part => part.Data.Info.Name);

    /// <summary>The weight, read once. Null when it is at fault: then the faults say so, the first time.</summary>
    public QuantizedWeight? Read(QuantizationConfig? config, List<string> faults)
    {
        if (_read.IsRead) return _read.Weight;

        _read = (QuantizedWeights.Read(this, config?.SchemeOf(Name)), true);
        faults.AddRange(_faults);
        return _read.Weight;
    }

    /// <summary>Whether there is a part; it is not thereby read.</summary>
    public bool Has(string part) => _parts.Exists(each => each.Part == part);

    /// <summary>A part, or null.</summary>
    public TensorData? Find(string part)
    {
        int index = _parts.FindIndex(each => each.Part == part);
        if (index < 0) return null;

        _asked |= 1UL << index;
        return _parts[index].Data;
    }

    /// <summary>Notes that the parts were asked for which another one, of an expert of this stack, was asked for.</summary>
    public void TakeAsked(WeightParts expert) => _asked |= expert._asked;

    /// <summary>The parts that nobody asked for.</summary>
    public IEnumerable<WeightPart> Unasked => _parts.Where((_, index) => (_asked >> index & 1) == 0);

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
    public bool Fault(bool isFaulty, [InterpolatedStringHandlerArgument(nameof(isFaulty))] ref FaultMessage fault)
    {
        if (isFaulty) AddTo(_faults, fault.ToStringAndClear());
        return isFaulty;
    }

    public void Warn(bool isOdd, [InterpolatedStringHandlerArgument(nameof(isOdd))] ref FaultMessage warning)
    {
        if (isOdd) AddTo(_warnings, warning.ToStringAndClear());
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
        if (Equal(tensor.Info.Shape, shape)) return true;

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

        string name = scales.Info.Name;
        if (ScaleValues.Exponents.Contains(scales.Info.Type))
        {
            Fault(ScaleValues.HasByte(scales, 0xff), $"Tensor {TensorName.Quote(name)} has the exponent 255, which is not a number.");
            return;
        }

        var oddity = ScaleValues.FindOddity(scales);
        Warn(oddity == ScaleOddity.NotFinite, $"Tensor {TensorName.Quote(name)} has scales that are not finite; the weights they scale are not either.");
        Warn(oddity == ScaleOddity.Negative, $"Tensor {TensorName.Quote(name)} has negative scales.");
    }

    /// <summary>
    /// The parts of one expert of a stack. What has no entry for each expert is left as it is: a number for all, or a fault for the reader to find.
    /// </summary>
    public WeightParts OfExpert(long expert, long experts) => new(
        Name,
        [.. _parts.Select(part => part.Part != QuantizedNames.PackedShape && HasEntries(part.Data.Info, experts) ? part with { Data = part.Data.Slice(expert) } : part)],
        _faults,
        _warnings)
    {
        ChecksValues = ChecksValues,
    };

    // of types smaller than a byte an entry may end inside one
    private static bool HasEntries(TensorInfo info, long experts) => info.Shape is [var first, ..] && first == experts && info.ByteCount % experts == 0;

    private static bool Equal(IReadOnlyList<long> shape, ReadOnlySpan<long> expected)
    {
        bool areEqual = shape.Count == expected.Length;
        for (int i = 0; areEqual && i < expected.Length; i++) areEqual = shape[i] == expected[i];
        return areEqual;
    }

    private static void AddTo(List<string> messages, string message)
    {
        if (!messages.Contains(message)) messages.Add(message);
    }

    /// <summary>For messages: <c>'name' is F32 [2, 3]</c>.</summary>
    public static string Shown(TensorData tensor) =>
        $"{TensorName.Quote(tensor.Info.Name)} is {tensor.Info.Type.FileName()} [{string.Join(", ", tensor.Info.Shape)}]";
}

/// <summary>A tensor of a quantized weight.</summary>
/// <param name="Part">Which, by what its name ends with.</param>
/// <param name="Data">The tensor.</param>
internal readonly record struct WeightPart(string Part, TensorData Data);
