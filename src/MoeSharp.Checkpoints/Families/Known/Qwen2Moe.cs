namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Qwen1.5-MoE and Qwen2-MoE: softmax, not renormalised as shipped, and a shared expert behind a sigmoid.</summary>
    internal static readonly ModelFamily Qwen2Moe = new()
    {
        ModelTypes = ["qwen2_moe"],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            return config.Model(config.ByStep(layer with { Router = layer.Router with { Renormalize = config.Renormalize() }, Shared = GatedShared(config) }));
        },
        Layouts = [QwenLayout],
        Gguf = [new("qwen2moe", ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"), ("shared_expert_intermediate_size", "expert_shared_feed_forward_length|feed_forward_length")) { Model = ("qwen2_moe", "Qwen2MoeForCausalLM"), Constants = """{"norm_topk_prob": false}""" }],
    };

    /// <summary>The shared expert of Qwen models; its width is a key.</summary>
    private static SharedExpertOptions GatedShared(FamilyConfig config) => new() { IntermediateSize = config.Width("shared_expert_intermediate_size"), IsGated = true };

    private static LayerLayout QwenLayout => new()
    {
        Router = "mlp.gate",
        Experts = [Stored.PerExpert("mlp.experts"), Stored.Fused("mlp.experts")],
        Shared = [Stored.Single("mlp.shared_expert")],
        SharedRouter = "mlp.shared_expert_gate",
    };
}
