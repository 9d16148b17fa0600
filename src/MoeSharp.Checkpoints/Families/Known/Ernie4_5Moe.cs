namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>ERNIE 4.5: softmax, a bias that only selects, renormalised; shared experts.</summary>
    internal static readonly ModelFamily Ernie45Moe = new()
    {
        ModelTypes = ["ernie4_5_moe"],
        Describe = config =>
        {
            var json = config.Json;
            config.Require("use_bias", false);
            config.Require("moe_gate_act", "softmax");
            double least = json.Number("moe_norm_min", 1e-12, 0, isExclusive: false);
            json.Unsupported(least > 1e-8, "moe_norm_min", "at most 1e-8");     // the sum is divided by itself or by this: here it is added, which is the same for sums of weights
            int width = config.Width("moe_intermediate_size");
            int first = json.Integer("moe_layer_start_index", 1, 0, int.MaxValue), last = json.Integer("moe_layer_end_index", -1, -1, int.MaxValue);
            int interval = json.Integer("moe_layer_interval", 1, 1, int.MaxValue);
            if (last < 0) last = config.LayerCount - 1;

            var layer = config.Layer(width);
            var moe = layer with
            {
                Router = layer.Router with { HasCorrectionBias = true, Renormalize = Renormalization.Always, RenormalizeEpsilon = least },
                Shared = config.Shared("moe_num_shared_experts", width),
            };
            return config.Model(config.Where(index => (index + 1) % interval == 0 && index >= first && index <= last, moe, SparseLayers.DenseWidth(config)));
        },
        Layouts =
        [
            DeepseekLayout with { CorrectionBias = "mlp.moe_statics.e_score_correction_bias", IsCorrectionBiasRow = true },
            DeepseekLayout with { CorrectionBias = "mlp.gate.moe_statics.e_score_correction_bias", IsCorrectionBiasRow = true },
        ],
        Gguf = [
            new("ernie4_5-moe", ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"), ("moe_num_shared_experts", "expert_shared_count"), ("moe_layer_start_index", "leading_dense_block_count"), ("moe_layer_interval", "interleave_moe_layer_step"))
            {
                Model = ("ernie4_5_moe", "Ernie4_5_MoeForCausalLM"),
                ExpertKeys = ("moe_num_experts", "moe_k"),
            },
        ],
    };
}
