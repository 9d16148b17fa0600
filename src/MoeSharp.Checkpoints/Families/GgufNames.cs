namespace MoeSharp.Checkpoints;

/// <summary>The names of GGUF files (llama.cpp, <c>gguf-py/gguf/tensor_mapping.py</c>) outside of MoE layers, and those of transformers.</summary>
internal static class GgufNames
{
    /// <summary>What most architectures call alike.</summary>
    public static readonly TensorNames Common = new()
    {
        Model = [.. TensorRule.Plain(("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head"))],
        Layer =
        [
            .. TensorRule.Plain(
                ("attn_norm", "input_layernorm"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.o_proj"),
                ("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm"), ("ffn_norm", "post_attention_layernorm"),
                ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")),
        ],
    };

    /// <summary>The same where the rows of queries and keys were put in the order of the original rotary positions, pair by pair.</summary>
    public static readonly TensorNames Paired = Common.With(new("attn_q", "self_attn.q_proj") { Change = TensorChanges.Queries }, new("attn_k", "self_attn.k_proj") { Change = TensorChanges.Keys });

    /// <summary>The same with the norm before the MLP named after what it follows.</summary>
    public static readonly TensorNames PostAttention = Common.With(new TensorRule("post_attention_norm", "post_attention_layernorm"));

    /// <summary>Multi-head latent attention: the matrix that makes keys and values is whole in older files, and in two parts since.</summary>
    public static readonly TensorNames Latent = Common.With(
    [
        .. TensorRule.Plain(
            ("attn_q_a", "self_attn.q_a_proj"), ("attn_q_a_norm", "self_attn.q_a_layernorm"), ("attn_q_b", "self_attn.q_b_proj"), ("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
            ("attn_kv_a_norm", "self_attn.kv_a_layernorm"), ("attn_kv_b", "self_attn.kv_b_proj"),
            ("indexer.k_norm", "self_attn.indexer.k_norm"), ("indexer.proj", "self_attn.indexer.weights_proj"), ("indexer.attn_k", "self_attn.indexer.wk"), ("indexer.attn_q_b", "self_attn.indexer.wq_b")),
        new("attn_k_b", "self_attn.kv_b_proj") { Change = TensorChanges.KeysAndValues },
        new("attn_v_b", null),
    ]);

    /// <summary>GGUF files that hold other numbers than transformers: none of them is renamed.</summary>
    public static TensorNames None(string why) => new() { Missing = why };
}
