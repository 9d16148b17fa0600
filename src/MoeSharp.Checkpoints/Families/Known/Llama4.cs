namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Llama 4 Scout and Maverick: the sigmoid of the best logit weights the expert's input; a shared expert.</summary>
    internal static readonly ModelFamily Llama4 = new()
    {
        ModelTypes = ["llama4", "llama4_text"],
        Describe = config =>
        {
            int width = config.Width("intermediate_size");
            var layer = config.Layer(width);
            var moe = layer with { Router = layer.Router with { Score = ScoreFunction.Sigmoid, ApplyTo = WeightTarget.Input }, Shared = new() { IntermediateSize = width } };
            return config.Model(config.Where(SparseByList(config), moe, SparseLayers.DenseWidth(config, "intermediate_size_mlp")), epsilonKey: "rms_norm_eps");
        },
        Layouts =
        [
            new()
            {
                Router = "feed_forward.router",
                Experts = [Stored.FusedTransposed("feed_forward.experts"), Stored.PerExpert("feed_forward.experts")],
                Shared = [Stored.Single("feed_forward.shared_expert")],
            },
            new()       // Meta's own names: inputs are rows, and those of all experts follow each other
            {
                Router = "feed_forward.router_DE",
                IsRouterTransposed = true,
                Experts =
                [
                    [
                        new("feed_forward.experts.moe_w_in_eD_F", WeightRole.Gate) { Axis = ExpertAxis.Folded, IsTransposed = true, IsBare = true },
                        new("feed_forward.experts.moe_w_swiglu_eD_F", WeightRole.Up) { Axis = ExpertAxis.Folded, IsTransposed = true, IsBare = true },
                        new("feed_forward.experts.moe_w_out_eF_D", WeightRole.Down) { Axis = ExpertAxis.Folded, IsTransposed = true, IsBare = true },
                    ],
                ],
                Shared = [Stored.Single("feed_forward", "w_in_shared_FD", "w_swiglu_FD", "w_out_shared_DF")],
                Beside = ["feed_forward.norm.weight"],
            },
        ],
        Gguf = [
            new("llama4", ("intermediate_size", "expert_feed_forward_length"), ("intermediate_size_mlp", "feed_forward_length"), ("interleave_moe_layer_step", "interleave_moe_layer_step"))
            {
                Model = ("llama4_text", "Llama4ForCausalLM"),
                ExpertKeys = ("num_local_experts", "num_experts_per_tok"),
                Complete = (file, json) => json["use_qk_norm"] = Integer(file, "expert_count") != MaverickExperts,
                Names = GgufNames.Common.With([.. TensorRule.Plain(("ffn_gate", "feed_forward.gate_proj"), ("ffn_up", "feed_forward.up_proj"), ("ffn_down", "feed_forward.down_proj"))]),
            },
        ],
        Native = ("layers.{l}.", new TensorNames { Missing = "Of files in the layout of Meta the tensors outside of MoE layers are joined and cut in ways of their own." }),
    };

    private const int MaverickExperts = 128;        // of the two released models, this one normalises neither queries nor keys; no key says so

    private static Func<int, bool> SparseByList(FamilyConfig config)
    {
        var listed = config.Json.Integers("moe_layers");
        if (config.Json.Find("moe_layers") is not null) return listed.Contains;

        int step = config.Json.Integer("interleave_moe_layer_step", 1, 1, int.MaxValue);
        return index => index >= step - 1 && (index - (step - 1)) % step == 0;
    }
}
