namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Qwen3-MoE.</summary>
    internal static readonly ModelFamily Qwen3Moe = new()
    {
        ModelTypes = [Qwen3MoeConfig.ModelType],
        Describe = config =>
        {
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            var router = layer.Router with { Renormalize = config.Renormalize(), HasCorrectionBias = config.Json.Flag("moesharp_correction_bias", false) };
            return config.Model(config.ByStep(layer with { Router = router }));
        },
        Layouts =
        [
            new()
            {
                Router = "mlp.gate",
                CorrectionBias = "mlp.gate.e_score_correction_bias",
                Experts = [Stored.PerExpert("mlp.experts"), Stored.Fused("mlp.experts")],
            },
        ],
        Gguf = [Qwen3File("qwen3moe"), Qwen3File("qwen3vlmoe")],     // the second is of Qwen3-VL without what sees: the same model
    };

    private static GgufFamily Qwen3File(string architecture) => new(architecture, ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"))
    {
        Model = ("qwen3_moe", "Qwen3MoeForCausalLM"),
        Constants = """{"norm_topk_prob": true}""",
    };
}
