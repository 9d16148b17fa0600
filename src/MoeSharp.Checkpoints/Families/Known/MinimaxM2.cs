namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>MiniMax-M2: sigmoid, a bias that only selects, renormalised.</summary>
    internal static readonly ModelFamily MinimaxM2 = new()
    {
        ModelTypes = ["minimax_m2"],
        Describe = config =>
        {
            config.Require("scoring_func", "sigmoid");
            config.Require("shared_intermediate_size", 0);
            config.Require("use_routing_bias", true);
            var layer = config.Layer(config.Width("intermediate_size"));
            return config.Model(config.Every(layer with
            {
                Router = layer.Router with { Score = ScoreFunction.Sigmoid, HasCorrectionBias = true, Renormalize = Renormalization.Always },
            }));
        },
        Layouts =
        [
            new()
            {
                Router = "block_sparse_moe.gate",
                CorrectionBias = "block_sparse_moe.e_score_correction_bias",
                Experts = [Stored.PerExpert("block_sparse_moe.experts", "w1", "w3", "w2")],
            },
            new() { Router = "mlp.gate", CorrectionBias = "mlp.e_score_correction_bias", Experts = [Stored.Fused("mlp.experts")] },
        ],
        Gguf = [
            new("minimax-m2", ("intermediate_size", "expert_feed_forward_length|feed_forward_length"), ("rotary_dim", "rope.dimension_count"))
            {
                Model = ("minimax_m2", "MiniMaxM2ForCausalLM"),
                ExpertKeys = ("num_local_experts", "num_experts_per_tok"),
                Constants = """{"scoring_func": "sigmoid", "use_routing_bias": true}""",
                Complete = (file, json) => json["use_qk_norm"] = file.Tensors.ContainsKey("blk.0.attn_q_norm.weight"),
            },
        ],
    };
}
