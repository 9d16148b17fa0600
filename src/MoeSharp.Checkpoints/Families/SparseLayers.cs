namespace MoeSharp.Checkpoints;

/// <summary>Which layers of a model are a Mixture of Experts, by the keys of families.</summary>
internal static class SparseLayers
{
    /// <summary>All.</summary>
    public static MlpOptions[] Every(this FamilyConfig config, MoeOptions layer) => config.Where(_ => true, layer, denseWidth: 1);

    /// <summary>None.</summary>
    public static MlpOptions[] None(this FamilyConfig config, int denseWidth) => [.. Enumerable.Repeat(new MlpOptions.Dense(Math.Max(denseWidth, 1)), config.LayerCount)];

    /// <summary>Those for which a rule holds; the others are dense.</summary>
    public static MlpOptions[] Where(this FamilyConfig config, Func<int, bool> isSparse, MoeOptions layer, int denseWidth)
    {
        MlpOptions sparse = new MlpOptions.Sparse(layer), dense = new MlpOptions.Dense(denseWidth);
        return [.. Enumerable.Range(0, config.LayerCount).Select(index => isSparse(index) ? sparse : dense)];
    }

    /// <summary>Qwen: all but those in <c>mlp_only_layers</c> and those that <c>decoder_sparse_step</c> passes over.</summary>
    public static MlpOptions[] ByStep(this FamilyConfig config, MoeOptions layer) => config.Where(ByStep(config.Json, config.LayerCount), layer, DenseWidth(config));

    /// <summary>The rule of Qwen.</summary>
    public static Func<int, bool> ByStep(ConfigReader json, int layerCount)
    {
        int step = json.Integer("decoder_sparse_step", 1, 1, int.MaxValue);
        var dense = json.Integers("mlp_only_layers").ToHashSet();
        int[] outside = [.. dense.Where(index => index < 0 || index >= layerCount).Order()];
        json.Warn(outside.Length > 0, $"mlp_only_layers names {string.Join(", ", outside)}, but the layers are 0 to {layerCount - 1}.");
        return index => !dense.Contains(index) && (index + 1) % step == 0;
    }

    /// <summary>DeepSeek and its kin: dense up to <c>first_k_dense_replace</c>, or as <c>mlp_layer_types</c> says.</summary>
    /// <param name="config">The keys.</param>
    /// <param name="layer">The layer where it is not dense.</param>
    /// <param name="firstKey">The key of the number of dense layers.</param>
    /// <param name="absent">Their number without that key.</param>
    public static MlpOptions[] AfterFirst(this FamilyConfig config, MoeOptions layer, string firstKey = "first_k_dense_replace", int absent = 0)
    {
        if (config.ByType("dense", out var isSparse)) return config.Where(isSparse, layer, DenseWidth(config));

        int first = config.Json.OptionalInteger(firstKey, 0, int.MaxValue) ?? absent;
        return config.Where(index => index >= first, layer, DenseWidth(config));
    }

    /// <summary>The lists of transformers 5: a kind of MLP for each layer.</summary>
    public static bool ByType(this FamilyConfig config, string dense, out Func<int, bool> isSparse)
    {
        var kinds = config.Json.Texts("mlp_layer_types");
        isSparse = index => index < kinds.Count && kinds[index] != dense;
        config.Json.Fault(kinds.Count > 0 && kinds.Count != config.LayerCount, $"mlp_layer_types has {kinds.Count} entries; expected {config.LayerCount}, one for each layer.");
        config.Json.Unsupported(kinds.Any(kind => kind is not ("dense" or "sparse" or "moe" or "hash_moe")), "mlp_layer_types", "\"dense\", \"sparse\", \"moe\" or \"hash_moe\" for each layer");
        return kinds.Count > 0;
    }

    /// <summary>The width of dense MLPs; 1 where the config does not say, because no layer may need it.</summary>
    public static int DenseWidth(FamilyConfig config, string key = "intermediate_size") => Math.Max(config.Json.OptionalInteger(key, 0, FamilyConfig.MaximumWidth) ?? 1, 1);
}
