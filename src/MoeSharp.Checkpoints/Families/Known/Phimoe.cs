namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Phi-3.5-MoE and its smaller kin: SparseMixer.</summary>
    internal static readonly ModelFamily Phimoe = new()
    {
        ModelTypes = ["phimoe"],
        Describe = config =>
        {
            config.Require("num_experts_per_tok", 2);
            double jitter = config.Json.Number("router_jitter_noise", 0.01, 0, isExclusive: true);
            var layer = config.Layer(config.Width("intermediate_size"));
            return config.Model(config.Every(layer with { Router = layer.Router with { Select = new Selection.SparseMixer(jitter) } }), NormKind.LayerNorm);
        },
        Layouts =
        [
            new() { Router = "block_sparse_moe.gate", Experts = [Stored.PerExpert("block_sparse_moe.experts", "w1", "w3", "w2")] },
            new() { Router = "mlp.router", Experts = [Stored.PerExpert("mlp.experts", "w1", "w3", "w2"), Stored.Fused("mlp.experts")] },
        ],
        Gguf = [new("phimoe", ("intermediate_size", "feed_forward_length")) { Model = ("phimoe", "PhimoeForCausalLM"), ExpertKeys = ("num_local_experts", "num_experts_per_tok"), Complete = (file, json) => json["lm_head_bias"] = file.Tensors.ContainsKey("output.bias") }],
    };
}
