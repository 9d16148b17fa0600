namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>MiMo-V2-Flash: the layers of DeepSeek-V3 without a shared expert.</summary>
    internal static readonly ModelFamily MimoV2Flash = new()
    {
        ModelTypes = ["mimo_v2_flash"],
        Describe = config =>
        {
            config.Require("n_shared_experts", 0);
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            var moe = layer with { Router = SigmoidWithBias(config, layer.Router with { Scale = config.Scale() }, renormalizes: true) };
            return config.Model(SparseByFrequency(config, moe), epsilonKey: config.Json.Find("layernorm_epsilon") is null ? "rms_norm_eps" : "layernorm_epsilon");
        },
        Layouts = [DeepseekLayout],
    };

    // released configs have a 1 there for each Mixture of Experts and a 0 for each dense layer
    private static MlpOptions[] SparseByFrequency(FamilyConfig config, MoeOptions layer)
    {
        const string Key = "moe_layer_freq";

        if (config.Json.Find(Key) is null) return config.AfterFirst(layer, absent: 1);

        var flags = config.Json.Integers(Key);
        config.Json.Fault(flags.Count != config.LayerCount || flags.Any(flag => flag is not (0 or 1)), $"{Key} is [{string.Join(", ", flags)}]; expected {config.LayerCount} numbers, 0 or 1 for each layer.");
        return config.Where(index => flags.ElementAtOrDefault(index) == 1, layer, SparseLayers.DenseWidth(config));
    }
}
