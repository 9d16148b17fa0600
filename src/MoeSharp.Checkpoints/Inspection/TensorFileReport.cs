namespace MoeSharp.Checkpoints;

/// <summary>
/// What a safetensors file is, by its header alone: its tensors, its metadata, and the quantized weights in it. Beside a <c>config.json</c> its
/// quantized weights are read as that says.
/// </summary>
public sealed record TensorFileReport
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>The texts under <c>__metadata__</c>, as the file has them.</summary>
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>The tensors in the order of their bytes.</summary>
    public required IReadOnlyList<TensorReport> Tensors { get; init; }

    /// <summary>The same by type, the one with the most bytes first.</summary>
    public required IReadOnlyList<TypeReport> Types { get; init; }

    /// <summary>The quantized weights by format, the one with the most bytes first; their scales are counted with them.</summary>
    public required IReadOnlyList<FormatReport> Quantized { get; init; }

    /// <summary>The scales of quantized weights; null when there are none.</summary>
    public required ScaleReport? Scales { get; init; }

    /// <summary>What is odd but harmless, a sentence each.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>All tensors.</summary>
    public required TensorTotals Totals { get; init; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="CheckpointException">The file is damaged, or its quantized weights contradict themselves; one message lists all that is wrong.</exception>
    public static TensorFileReport Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);

        using var file = SafetensorsFile.Open(path);
        var warnings = new List<string>();
        var weights = new WeightIndex(file, QuantizationBeside(path, warnings), valueLimit: ScaleReport.Limit);
        bool isShard = IsShard(path);
        var formats = QuantizedFormats.Read(path, weights, _ => isShard, out var odd);
        string name = System.IO.Path.GetFileName(path);
        TensorReport[] tensors = [.. file.Tensors.Values.Select(tensor => formats.Report(tensor, name))];
        return new()
        {
            Path = path,
            Metadata = file.Metadata,
            Tensors = tensors,
            Totals = TensorTotals.Of(tensors),
            Types = [.. tensors.AggregateBy(tensor => tensor.Info.Type, default(TensorTotals), TensorTotals.With).Select(type => new TypeReport(type.Key, type.Value)).OrderByDescending(type => type.Totals.Bytes)],
            Quantized = FormatReport.Of(tensors.Where(tensor => formats.IsQuantized(tensor.Info))),
            Scales = weights.Parts.Weights.Count > 0 ? new(weights.Parts.ValueBytes, weights.Parts.ChecksValues) : null,
            Warnings = weights.Parts.Weights.Count > 0 ? [.. warnings, .. odd] : [],       // the config says nothing of plain tensors
        };
    }

    // a weight of a shard may have its scales in another one
    private static bool IsShard(string path) => System.IO.Path.GetFileName(path).Contains("-of-", StringComparison.Ordinal);

    private static QuantizationConfig? QuantizationBeside(string path, List<string> warnings)
    {
        string config = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path) ?? "", ModelConfig.FileName);
        if (!File.Exists(config)) return null;

        try
        {
            return ModelConfig.Read(config, out _).Quantization;
        }
        catch (CheckpointException e)
        {
            warnings.Add($"The config beside the file is not read: {e.Message}");
            return null;
        }
    }
}

/// <summary>The tensors of one type.</summary>
/// <param name="Type">The type.</param>
/// <param name="Totals">The tensors.</param>
public sealed record TypeReport(TensorType Type, TensorTotals Totals);
