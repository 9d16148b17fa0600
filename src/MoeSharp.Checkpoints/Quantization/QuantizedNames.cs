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
    public const string ColumnScales = ".SCB", CodeOrder = ".weight_format";

    // longer ones before those that they end in
    private static readonly string[] Suffixes =
    [
        ScaleInverse, SecondScale, WeightScale, GlobalScale, ZeroPoint, GroupIndex, PackedShape, Packed,
        GptqCodes, GptqZeros, GptqScales, GptqGroups, AbsMax, QuantMap, NestedAbsMax, NestedQuantMap, StateNf4, StateFp4, ColumnScales, CodeOrder,
        StackedScaleInverse, Blocks, BlockScales, DottedBlocks, Scale, Weight,
    ];

    /// <summary>Of scales for quantized activations, which are not quantized here.</summary>
    public static readonly string[] Activations = [".input_scale", ".input_global_scale", ".input_zero_point", ".activation_scale", "_activation_scale"];

    /// <summary>What the names of a weight's tensors end in after its own.</summary>
    public static IEnumerable<string> All => [Stacked, .. Suffixes];

    /// <summary>The tensor that holds a weight of this name as plain numbers.</summary>
    public static string Plain(WeightParts parts) => parts.Has(Stacked) || parts.Has(Blocks) || parts.Has(DottedBlocks) ? parts.Name : $"{parts.Name}{Weight}";

    /// <summary>The quantized weights of a source, in the order of their first tensors.</summary>
    /// <param name="source">The source.</param>
    /// <param name="prefix">What the names of tensors start with that are looked at.</param>
    /// <param name="valueLimit">Their scales and zero points are read and checked when they have no more bytes than this together.</param>
    public static QuantizedParts Find(ITensorSource source, string prefix = "", long valueLimit = long.MaxValue)
    {
        var byName = new Dictionary<string, List<WeightPart>>();
        var byModule = byName.GetAlternateLookup<ReadOnlySpan<char>>();
        var modules = new List<KeyValuePair<string, List<WeightPart>>>();
        foreach (var (name, tensor) in source.Tensors)
        {
            if (!name.StartsWith(prefix, StringComparison.Ordinal) || SuffixOf(name) is not { } suffix || (suffix == Weight && PlainMatrix.Types.Contains(tensor.Type))) continue;

            var module = name.AsSpan(..^suffix.Length);
            if (!byModule.TryGetValue(module, out var parts))
            {
                modules.Add(new(module.ToString(), parts = new(2)));
                byName.Add(modules[^1].Key, parts);
            }

            parts.Add(new(suffix, source.Data(name)));
        }

        var quantized = new List<KeyValuePair<string, List<WeightPart>>>();
        foreach (var (module, parts) in modules)
        {
            AddIfThere(Weight, when: !Has(parts, Weight));      // a weight of plain numbers, which has no business here
            if (!IsQuantized(parts)) continue;

            AddIfThere(Stacked, when: Has(parts, StackedScaleInverse));
            quantized.Add(new(module, parts));

            void AddIfThere(string part, bool when)
            {
                if (when && source.Tensors.ContainsKey(module + part)) parts.Add(new(part, source.Data(module + part)));
            }
        }

        long bytes = quantized.Sum(module => module.Value.Sum(part => IsCodes(part.Part) ? 0 : part.Data.Info.ByteCount));
        return new(bytes, bytes <= valueLimit, [.. quantized.Select(module => new WeightParts(module.Key, module.Value) { ChecksValues = bytes <= valueLimit })]);
    }

    private static bool IsCodes(string part) => part is Weight or Stacked or Packed or GptqCodes or Blocks;

    private static string? SuffixOf(ReadOnlySpan<char> name)
    {
        if (name.EndsWith(Weight)) return Weight;

        foreach (string suffix in Suffixes)
        {
            if (name.EndsWith(suffix)) return suffix;
        }

        return null;
    }

    private static bool Has(List<WeightPart> parts, string part, params ReadOnlySpan<TensorType> types)
    {
        foreach (var found in parts)
        {
            if (found.Part == part && (types.IsEmpty || types.Contains(found.Data.Info.Type))) return true;
        }

        return false;
    }

    private static bool IsQuantized(List<WeightPart> parts)
    {
        bool isBareFloat8 = Has(parts, Weight, TensorType.F8E4M3, TensorType.F8E5M2);

        // by themselves these two are names of many things: of a router's scale, say
        bool hasScale = Has(parts, Scale) && (isBareFloat8 || Has(parts, Weight, TensorType.I8, TensorType.U8, TensorType.F4));
        bool hasBlockScales = Has(parts, BlockScales, TensorType.U8) || Has(parts, Blocks);
        return hasScale || hasBlockScales || isBareFloat8 || parts.Exists(part => part.Part is not (Weight or Scale or Blocks or BlockScales));
    }
}

/// <summary>The quantized weights of a source.</summary>
/// <param name="ValueBytes">The bytes of all that is not codes: scales, zero points, indices.</param>
/// <param name="ChecksValues">Whether those are checked.</param>
/// <param name="Weights">The weights, in the order of their first tensors.</param>
internal sealed record QuantizedParts(long ValueBytes, bool ChecksValues, IReadOnlyList<WeightParts> Weights);
