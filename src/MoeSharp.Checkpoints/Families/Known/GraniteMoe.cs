namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Granite-MoE, with a shared expert, with Mamba layers or windows of attention between: a softmax over the selected logits.</summary>
    internal static readonly ModelFamily GraniteMoe = new()
    {
        ModelTypes = ["granitemoe", "granitemoeshared", "granitemoehybrid", "granitemoe_swa"],
        Describe = config =>
        {
            int sharedWidth = config.OptionalWidth("shared_intermediate_size");
            if (!config.HasExperts) return config.Model(config.None(sharedWidth));

            var layer = config.Layer(config.Width("intermediate_size"));
            return config.Model(config.Every(layer with
            {
                Router = layer.Router with { Weights = WeightSource.SoftmaxOfSelected },
                Shared = sharedWidth > 0 ? new() { IntermediateSize = sharedWidth } : null,
            }));
        },
        Layouts =
        [
            new()
            {
                Router = "block_sparse_moe.router.layer",
                Experts = [Stored.Fused("block_sparse_moe", "input_linear", "output_linear", isBare: false)],
                Shared = [Stored.FusedSingle("shared_mlp", "input_linear", "output_linear")],
            },
            new()
            {
                Router = "block_sparse_moe.router",
                Experts = [Stored.Fused("block_sparse_moe.experts")],
                Shared = [Stored.FusedSingle("shared_mlp", "input_linear", "output_linear")],
            },
        ],
        Gguf = [
            new("granitemoe", GraniteKeys) { Model = ("granitemoe", "GraniteMoeForCausalLM"), ExpertKeys = ("num_local_experts", "num_experts_per_tok"), Names = GgufNames.Paired, Applies = file => !HasSharedExpert(file) },
            new("granitemoe", GraniteKeys) { Model = ("granitemoeshared", "GraniteMoeSharedForCausalLM"), ExpertKeys = ("num_local_experts", "num_experts_per_tok"), Names = GgufNames.Paired },
            new("granitehybrid", GraniteKeys) { Model = ("granitemoehybrid", "GraniteMoeHybridForCausalLM"), ExpertKeys = ("num_local_experts", "num_experts_per_tok"), Names = GgufNames.Paired with { Missing = "State space layers are in another form there." } },
        ],
    };

    private static (string Key, string Metadata)[] GraniteKeys =>
    [
        ("intermediate_size", "feed_forward_length"), ("shared_intermediate_size", "expert_shared_feed_forward_length"),
        ("embedding_multiplier", "embedding_scale"), ("attention_multiplier", "attention.scale"), ("residual_multiplier", "residual_scale"), ("logits_scaling", "logit_scale"),
    ];

    private static bool HasSharedExpert(GgufFile file) => file.Metadata.TryGetValue("granitemoe.expert_shared_feed_forward_length", out var width) && width.GetInteger() > 0;
}
