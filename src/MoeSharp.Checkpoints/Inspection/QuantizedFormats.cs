namespace MoeSharp.Checkpoints;

/// <summary>The formats of tensors: quantized weights in words and with their decoded sizes, the rest by their types.</summary>
internal sealed class QuantizedFormats
{
    private readonly Dictionary<string, (string Format, long Parameters)> _quantized;

    private QuantizedFormats(int tensors)
    {
        _quantized = new(tensors);
    }

    /// <summary>Reads the quantized weights.</summary>
    /// <param name="path">The file or folder, for messages.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="isForgiven">Of which weights, by a tensor of theirs, faults are only warned of.</param>
    /// <param name="warnings">What is odd.</param>
    /// <exception cref="CheckpointException">They are at fault; one message lists all that is wrong.</exception>
    public static QuantizedFormats Read(string path, WeightIndex weights, Func<string, bool> isForgiven, out IReadOnlyList<string> warnings)
    {
        // codes and scales, of most
        var formats = new QuantizedFormats(2 * weights.Parts.Weights.Count);
        var (faults, odd, found) = (new List<string>(), new List<string>(), new List<string>());
        foreach (var parts in weights.Parts.Weights)
        {
            found.Clear();
            if (weights.Read(parts, found) is { } weight) formats.Add(parts, weight);
            odd.AddRange(parts.Warnings);
            if (found.Count > 0) (isForgiven(parts.Tensors[0].Data.Info.Name) ? odd : faults).AddRange(found);
        }

        warnings = odd;
        return faults.Count == 0 ? formats : throw CheckpointException.Listing(path, faults);
    }

    /// <summary>The format of a tensor, and the weights that it holds.</summary>
    public (string Format, long Parameters) Of(TensorInfo tensor)
    {
        if (_quantized.TryGetValue(tensor.Name, out var quantized)) return quantized;

        return (tensor.Type.FileName(), IsNumbers(tensor.Type) ? Count(tensor.Shape) : 0);
    }

    /// <summary>Whether a tensor is part of a quantized weight.</summary>
    public bool IsQuantized(TensorInfo tensor) => _quantized.ContainsKey(tensor.Name);

    /// <summary>What is known of a tensor of a file by itself.</summary>
    public TensorReport Report(TensorInfo tensor, string file)
    {
        var (format, parameters) = Of(tensor);
        return new(tensor, file, Kind: null, Layer: null, format, parameters);
    }

    private static bool IsNumbers(TensorType type) => type is TensorType.F64 or TensorType.F32 or TensorType.BF16 or TensorType.F16 or TensorType.F8E4M3 or TensorType.F8E5M2;

    private void Add(WeightParts parts, QuantizedWeight weight)
    {
        string format = weight.Format;
        foreach (var (_, data) in parts.Tensors) _quantized[data.Info.Name] = (format, data.Info.Name == weight.Name ? Count(weight.Shape) : 0);
    }

    private static long Count(IReadOnlyList<long> shape)
    {
        long count = 1;
        foreach (long size in shape) count *= size;
        return count;
    }
}
