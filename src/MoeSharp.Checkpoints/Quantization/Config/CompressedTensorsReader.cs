namespace MoeSharp.Checkpoints;

/// <summary>The groups of a <c>quantization_config</c> of compressed-tensors.</summary>
internal static class CompressedTensorsReader
{
    public static IReadOnlyList<QuantizationGroup> Read(ConfigReader json)
    {
        json.Unsupported(json.Object("sparsity_config")?.Text("format", "dense") is not (null or "dense"), "sparsity_config", "none: dense weights");
        string format = json.Text("format", "");
        var groups = json.Object("config_groups");
        json.Fault(groups is null or { IsEmpty: true }, "config_groups is absent or empty; expected what is quantized how.");
        return groups is null ? [] : [.. groups.Keys.Select(name => groups.Object(name)).OfType<ConfigReader>().Select(group => ReadGroup(group, format)).OfType<QuantizationGroup>()];
    }

    // null for modules of which only the inputs are quantized
    private static QuantizationGroup? ReadGroup(ConfigReader group, string format)
    {
        if (group.Find("format") is not null) format = group.Text("format", format);
        var targets = group.Texts("targets");
        QuantizationConfigReader.CheckPatterns(group, targets);
        return group.Object("weights") is { } weights ? new(targets, ReadWeights(weights, format)) : null;
    }

    private static QuantizationScheme ReadWeights(ConfigReader weights, string format)
    {
        string type = weights.Text("type", "int").ToLowerInvariant(), strategy = weights.Find("strategy") is null ? "" : weights.Text("strategy", "");
        bool isSymmetric = weights.Flag("symmetric", true);
        weights.Unsupported(type is not ("int" or "float"), "type", "\"int\" or \"float\"");
        switch (format, type)
        {
            case ("pack-quantized", "int"):
                int bits = QuantizationConfigReader.Bits(weights, "num_bits", absent: 4, 4, 8, 2);
                return new QuantizationScheme.PackedInteger(bits, QuantizationConfigReader.GroupSize(weights, "group_size"), isSymmetric);
            case ("int-quantized" or "naive-quantized", "int"):
                QuantizationConfigReader.Bits(weights, "num_bits", absent: 8, 8, 7, 6, 5, 4, 3, 2);      // of fewer bits, a byte each all the same
                return new QuantizationScheme.Integer8(QuantizationConfigReader.GroupSize(weights, "group_size"), isSymmetric);
            case ("float-quantized" or "naive-quantized", "float"):
                QuantizationConfigReader.Bits(weights, "num_bits", absent: 8, 8);
                return Float8(weights, strategy);
            case ("nvfp4-pack-quantized", "float"):
                return new QuantizationScheme.Nvfp4();
            case ("mxfp4-pack-quantized", "float"):
                return new QuantizationScheme.Mxfp4();
            case ("mxfp8-quantized", "float"):
                return new QuantizationScheme.Mxfp8();
            default:
                weights.Fault(true, $"format is {TensorName.Quote(format)} with numbers of type {TensorName.Quote(type)}, which is not supported; "
                    + "expected pack-quantized, int-quantized, float-quantized, naive-quantized, nvfp4-pack-quantized, mxfp4-pack-quantized or mxfp8-quantized.");
                return new QuantizationScheme.Mxfp4();
        }
    }

    private static QuantizationScheme.Fp8 Float8(ConfigReader weights, string strategy)
    {
        var block = QuantizationConfigReader.Block(weights, "block_structure");
        weights.Fault(strategy == "block" && block is null, "strategy is \"block\" and block_structure is absent; expected the two sizes of a block.");
        int? group = QuantizationConfigReader.GroupSize(weights, "group_size");
        weights.Fault(strategy == "group" && group is null, "strategy is \"group\" and group_size is absent; expected the inputs of a group.");
        weights.Unsupported(strategy is not ("" or "tensor" or "channel" or "block" or "group"), "strategy", "\"tensor\", \"channel\", \"block\" or \"group\"");
        return strategy switch
        {
            "tensor" => new(Fp8Scales.Tensor),
            "channel" => new(Fp8Scales.Channel),
            "block" when block is var (rows, columns) => new(Fp8Scales.Block, rows, columns),
            "group" when group is { } size => new(Fp8Scales.Block, BlockRows: 1, size),
            _ => new(Scales: null),
        };
    }
}
