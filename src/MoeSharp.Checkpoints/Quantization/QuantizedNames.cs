namespace MoeSharp.Checkpoints;

/// <summary>The names that formats give the parts of a weight, and which weights a set of names holds.</summary>
internal static class QuantizedNames
{
    public const string Weight = ".weight", Stacked = "";       // the codes: of a module, or of experts in one tensor without a suffix
    public const string ScaleInverse = ".weight_scale_inv", StackedScaleInverse = "_scale_inv", Scale = ".scale", WeightScale = ".weight_scale";
    public const string Packed = ".weight_packed", PackedShape = ".weight_shape", ZeroPoint = ".weight_zero_point", GroupIndex = ".weight_g_idx";
    public const string GlobalScale = ".weight_global_scale", SecondScale = ".weight_scale_2";
    public const string GptqCodes = ".qweight", GptqZeros = ".qzeros", GptqScales = ".scales", GptqGroups = ".g_idx";
    public const string Blocks = "_blocks", BlockScales = "_scales", DottedBlocks = ".blocks";        // the last in OpenAI's own files, with .scales
    public const string AbsMax = ".weight.absmax", QuantMap = ".weight.quant_map", NestedAbsMax = ".weight.nested_absmax", NestedQuantMap = ".weight.nested_quant_map";
    public const string StateNf4 = ".weight.quant_state.bitsandbytes__nf4", StateFp4 = ".weight.quant_state.bitsandbytes__fp4";
    public const string ColumnScales = ".SCB";

    // longer ones before those that they end in
    private static readonly string[] Suffixes =
    [
        ScaleInverse, SecondScale, WeightScale, GlobalScale, ZeroPoint, GroupIndex, PackedShape, Packed,
        GptqCodes, GptqZeros, GptqScales, GptqGroups, AbsMax, QuantMap, NestedAbsMax, NestedQuantMap, StateNf4, StateFp4, ColumnScales,
        StackedScaleInverse, Blocks, BlockScales, DottedBlocks, Scale, Weight,
    ];

    /// <summary>Of scales for quantized activations, which are not quantized here.</summary>
    public static readonly string[] Activations = [".input_scale", ".input_global_scale", ".input_zero_point"];

    /// <summary>What the names of a weight's tensors end in after its own.</summary>
    public static IEnumerable<string> All => [Stacked, .. Suffixes];

    /// <summary>The tensor that holds a weight of this name as plain numbers.</summary>
    public static string Plain(WeightParts parts) => parts.Has(Stacked) || parts.Has(Blocks) || parts.Has(DottedBlocks) ? parts.Name : $"{parts.Name}{Weight}";

    /// <summary>The quantized weights of a source, in the order of their first tensors.</summary>
    /// <param name="source">The source.</param>
    /// <param name="prefix">What the names of tensors start with that are looked at.</param>
    /// <param name="checksValues">Whether their values are checked.</param>
    public static IEnumerable<WeightParts> Find(ITensorSource source, string prefix = "", bool checksValues = true)
    {
        var modules = new OrderedDictionary<string, Dictionary<string, TensorData>>();
        foreach (string name in source.Tensors.Keys)
        {
            if (!name.StartsWith(prefix, StringComparison.Ordinal) || SuffixOf(name) is not { } suffix) continue;

            string module = name[..^suffix.Length];
            if (!modules.TryGetValue(module, out var parts)) modules.Add(module, parts = []);
            parts.Add(suffix, source.Data(name));
        }

        foreach (var (module, parts) in modules)
        {
            if (!IsQuantized(parts)) continue;
            if (parts.ContainsKey(StackedScaleInverse) && source.Tensors.ContainsKey(module)) parts.Add(Stacked, source.Data(module));

            yield return new WeightParts(module, parts) { ChecksValues = checksValues };
        }
    }

    private static string? SuffixOf(string name) => Array.Find(Suffixes, suffix => name.EndsWith(suffix, StringComparison.Ordinal));

    private static bool IsQuantized(Dictionary<string, TensorData> parts)
    {
        bool hasSmallWeight = parts.TryGetValue(Weight, out var weight) && weight.Info.Type is TensorType.F8E4M3 or TensorType.F8E5M2 or TensorType.I8 or TensorType.U8 or TensorType.F4;

        // by themselves these two are names of many things: of a router's scale, say
        bool hasScale = parts.ContainsKey(Scale) && hasSmallWeight;
        bool hasBlockScales = parts.TryGetValue(BlockScales, out var scales) && scales.Info.Type == TensorType.U8 || parts.ContainsKey(Blocks);
        bool isBareFloat8 = parts.TryGetValue(Weight, out weight) && weight.Info.Type is TensorType.F8E4M3 or TensorType.F8E5M2;
        return hasScale || hasBlockScales || isBareFloat8 || parts.Keys.Any(part => part is not (Weight or Scale or Blocks or BlockScales));
    }
}
