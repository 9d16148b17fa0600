namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Mixtral 8x7B and 8x22B: softmax, two of eight, renormalised.</summary>
    internal static readonly ModelFamily Mixtral = new()
    {
        ModelTypes = ["mixtral"],
        Describe = DescribeMixtral,
        Layouts =
        [
            MixtralLayout,
            new() { Router = "feed_forward.gate", Experts = [Stored.PerExpert("feed_forward.experts", "w1", "w3", "w2")] },       // Mistral's own files
            new()       // the oldest files: the rows of all experts follow each other
            {
                Router = "block_sparse_moe.gate",
                Experts =
                [
                    [
                        new("block_sparse_moe.w1", WeightRole.Gate) { Axis = ExpertAxis.Folded, IsBare = true },
                        new("block_sparse_moe.w3", WeightRole.Up) { Axis = ExpertAxis.Folded, IsBare = true },
                        new("block_sparse_moe.w2", WeightRole.Down) { Axis = ExpertAxis.Folded, IsTransposed = true, IsBare = true },
                    ],
                ],
            },
            MixtralFusedLayout,
        ],
        Gguf = [new("llama", ("intermediate_size", "feed_forward_length")) { Model = ("mixtral", "MixtralForCausalLM"), ExpertKeys = ("num_local_experts", "num_experts_per_tok"), Names = GgufNames.Paired }],
        Native = ("layers.{l}.", MistralNames),
    };

    private static LayerLayout MixtralLayout => new() { Router = "block_sparse_moe.gate", Experts = [Stored.PerExpert("block_sparse_moe.experts", "w1", "w3", "w2")] };

    private static LayerLayout MixtralFusedLayout => new() { Router = "mlp.gate", Experts = [Stored.Fused("mlp.experts")] };

    private static ModelDescription DescribeMixtral(FamilyConfig config)
    {
        var layer = config.Layer(config.Width("intermediate_size"));
        return config.Model(config.Every(layer with { Router = layer.Router with { Renormalize = Renormalization.Always } }));
    }

    private static TensorNames MistralNames => new()
    {
        Model = [.. TensorRule.Plain(("tok_embeddings", "model.embed_tokens"), ("norm", "model.norm"), ("output", "lm_head"))],
        Layer =
        [
            new("attention.wq", "self_attn.q_proj") { Change = TensorChanges.Queries },
            new("attention.wk", "self_attn.k_proj") { Change = TensorChanges.Keys },
            .. TensorRule.Plain(("attention.wv", "self_attn.v_proj"), ("attention.wo", "self_attn.o_proj"), ("attention_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")),
        ],
    };
}
