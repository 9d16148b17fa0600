namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Qwen3-Next: 512 small experts, and a shared one behind a sigmoid.</summary>
    internal static readonly ModelFamily Qwen3Next = new()
    {
        ModelTypes = ["qwen3_next"],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            var moe = layer with { Router = layer.Router with { Renormalize = config.Renormalize(absent: true) }, Shared = GatedShared(config) };
            return config.Model(config.ByStep(moe), NormKind.RmsPlusOne);
        },
        Layouts = [QwenLayout],
        Gguf = [new("qwen3next", ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"), ("shared_expert_intermediate_size", "expert_shared_feed_forward_length")) { Model = ("qwen3_next", "Qwen3NextForCausalLM"), Constants = """{"norm_topk_prob": true}""", Names = GgufNames.None(LinearAttention) }],
    };

    private const string LinearAttention = "The files hold norms and linear attention as numbers that were computed from those of transformers, which is not undone to the bit.";
}
