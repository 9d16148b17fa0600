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
        Gguf = [new("lfm2moe", ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"), ("num_dense_layers", "leading_dense_block_count"), ("norm_eps", "attention.layer_norm_rms_epsilon"))],
    };
}
