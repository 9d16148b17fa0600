namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Qwen3.5-MoE: as Qwen3-Next, always renormalised, every layer a Mixture of Experts.</summary>
    internal static readonly ModelFamily Qwen35Moe = new()
    {
        ModelTypes = ["qwen3_5_moe", "qwen3_5_moe_text"],
        Describe = config =>
        {
            config.Require("norm_topk_prob", true);
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            var moe = layer with { Router = layer.Router with { Renormalize = Renormalization.Always }, Shared = GatedShared(config) };
            return config.Model(config.Every(moe), NormKind.RmsPlusOne);
        },
        Layouts = [QwenLayout],
        Gguf = [new("qwen35moe", ("moe_intermediate_size", "expert_feed_forward_length"), ("shared_expert_intermediate_size", "expert_shared_feed_forward_length")) { Model = ("qwen3_5_moe_text", "Qwen3_5MoeForCausalLM"), Names = GgufNames.None(LinearAttention) }],
    };
}
