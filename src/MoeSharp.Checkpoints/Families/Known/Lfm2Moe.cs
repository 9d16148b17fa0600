using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>LFM2-MoE: sigmoid, a bias that only selects, dense layers first.</summary>
    internal static readonly ModelFamily Lfm2Moe = new()
    {
        ModelTypes = ["lfm2_moe"],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"), activationKey: "");
            var router = layer.Router with
            {
                Score = ScoreFunction.Sigmoid,
                HasCorrectionBias = config.Json.Flag("use_expert_bias", true),
                Renormalize = config.Renormalize(absent: true),
                RenormalizeEpsilon = 1e-6,
                Scale = config.Scale(),
            };
            return config.Model(config.AfterFirst(layer with { Router = router }, firstKey: "num_dense_layers"), epsilonKey: "norm_eps");
        },
        Layouts =
        [
            new()
            {
                Router = "feed_forward.gate",
                CorrectionBias = "feed_forward.expert_bias",
                Experts = [Stored.PerExpert("feed_forward.experts", "w1", "w3", "w2"), Stored.Fused("feed_forward.experts")],
            },
        ],
        Gguf = [
            new("lfm2moe", ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"), ("num_dense_layers", "leading_dense_block_count"), ("norm_eps", "attention.layer_norm_rms_epsilon"), ("conv_L_cache", "shortconv.l_cache"))
            {
                Model = ("lfm2_moe", "Lfm2MoeForCausalLM"),
                Names = LfmNames,
                Complete = LayerTypes,
            },
        ],
    };

    private static TensorNames LfmNames => new()
    {
        Model = [.. TensorRule.Plain(("token_embd", "model.embed_tokens"), ("token_embd_norm", "model.embedding_norm"), ("output_norm", "model.embedding_norm"), ("output", "lm_head"))],
        Layer =
        [
            .. TensorRule.Plain(
                ("attn_norm", "operator_norm"), ("ffn_norm", "ffn_norm"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.out_proj"),
                ("attn_q_norm", "self_attn.q_layernorm"), ("attn_k_norm", "self_attn.k_layernorm"), ("shortconv.in_proj", "conv.in_proj"), ("shortconv.out_proj", "conv.out_proj"),
                ("ffn_gate", "feed_forward.w1"), ("ffn_up", "feed_forward.w3"), ("ffn_down", "feed_forward.w2")),
            new("shortconv.conv", "conv.conv") { Change = TensorChanges.Kernels },
        ],
    };

    // layers without heads of keys are convolutions
    private static void LayerTypes(GgufFile file, JsonObject json)
    {
        if (!file.Metadata.TryGetValue("lfm2moe.attention.head_count_kv", out var heads) || heads.ElementType is null) return;

        json["layer_types"] = new JsonArray([.. heads.Items.Select(count => (JsonNode)(count.GetInteger() > 0 ? "full_attention" : "conv"))]);
    }
}
