namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>DeepSeek-V4: sqrt(softplus), first layers by a table of token ids, gate and up clamped, the shared expert's too.</summary>
    internal static readonly ModelFamily DeepseekV4 = new()
    {
        ModelTypes = ["deepseek_v4"],
        Describe = DescribeDeepseekV4,
        Layouts =
        [
            new()
            {
                Router = "ffn.gate",
                CorrectionBias = "ffn.gate.bias",
                TokenTable = "ffn.gate.tid2eid",
                Experts = [Stored.PerExpert("ffn.experts", "w1", "w3", "w2")],
                Shared = [Stored.Single("ffn.shared_experts", "w1", "w3", "w2")],
            },
            DeepseekLayout with { TokenTable = "mlp.gate.tid2eid" },
        ],
        Gguf = [
            new("deepseek4", [.. DeepseekKeys, ("num_hash_layers", "hash_layer_count"), ("swiglu_limit", "swiglu_clamp_exp")]) { Model = ("deepseek_v4", "DeepseekV4ForCausalLM"), ExpertKeys = ("n_routed_experts", "num_experts_per_tok"), Defaults = """{"norm_topk_prob": true}""", Names = GgufNames.None("The names of its attention and hyper-connections are not known.") },
        ],
    };

    private static ModelDescription DescribeDeepseekV4(FamilyConfig config)
    {
        config.Require("scoring_func", "sqrtsoftplus");
        config.Require("topk_method", "noaux_tc");
        config.Require("norm_topk_prob", true);
        config.Require("gate_temp", 1);
        int width = config.Width("moe_intermediate_size", "intermediate_size");
        double? limit = config.Json.Find("swiglu_limit") is null ? null : config.Json.Number("swiglu_limit", 10, 0, isExclusive: true);
        var layer = config.Layer(width);
        var router = layer.Router with { Score = ScoreFunction.SqrtSoftplus, Renormalize = Renormalization.Always, RenormalizeEpsilon = 1e-20, Scale = config.Scale() };
        var shared = config.Shared("n_shared_experts", width);
        var moe = layer with { Experts = layer.Experts with { Limit = limit }, Shared = shared is null ? null : shared with { Limit = limit } };

        var model = config.Model([]);
        MlpOptions hashed = new MlpOptions.Sparse(moe with { Router = router with { Select = new Selection.TokenTable(model.VocabularySize) } });
        MlpOptions ranked = new MlpOptions.Sparse(moe with { Router = router with { HasCorrectionBias = true } });
        var kinds = config.ByType("dense", out _) ? config.Json.Texts("mlp_layer_types") : [];
        config.Json.Unsupported(kinds.Contains("dense"), "mlp_layer_types", "\"moe\" or \"hash_moe\" for each layer");
        int hashLayers = config.Json.OptionalInteger("num_hash_layers", 0, int.MaxValue) ?? 0;
        return model with
        {
            Layers = [.. Enumerable.Range(0, config.LayerCount).Select(index => (kinds.Count > 0 ? kinds.ElementAtOrDefault(index) == "hash_moe" : index < hashLayers) ? hashed : ranked)],
        };
    }
}
