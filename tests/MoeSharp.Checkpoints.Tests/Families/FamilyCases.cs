namespace MoeSharp.Checkpoints.Tests;

/// <summary>All families: a new one adds an entry.</summary>
internal static class FamilyCases
{
    private const string DeepseekKeys = """
        "n_routed_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "n_shared_experts": 2, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "moe_layer_freq": 1
        """;

    public static IReadOnlyList<FamilyCase> All { get; } =
    [
        new("afmoe", """{"num_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "num_shared_experts": 2, "num_dense_layers": 2, "score_func": "sigmoid", "route_norm": true, "route_scale": 2.826, "num_expert_groups": 1}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 2.826}, "shared": {"size": 8}}""", 2, 3),
        new("dbrx", """{"ffn_config": {"ffn_hidden_size": 4, "moe_num_experts": 6, "moe_top_k": 2, "moe_normalize_expert_weights": 2, "ffn_act_fn": {"name": "silu"}}, "attn_config": {"kv_n_heads": 1}}""",
            """{"router": {"renormalize": "p_norm", "p": 2}}""", 0, 1, 2, 3),
        new("deepseek_v2", """{"num_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "n_shared_experts": 2, "first_k_dense_replace": 1, "topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 2, "norm_topk_prob": false, "routed_scaling_factor": 16.0}""",
            """{"router": {"group_limit": {"groups": 3, "keep": 2, "by": "max"}, "scale": 16}, "shared": {"size": 8}}""", 1, 2, 3),
        new("deepseek_v3", $$"""{{{DeepseekKeys}}, "first_k_dense_replace": 3, "n_group": 3, "topk_group": 2, "norm_topk_prob": true, "routed_scaling_factor": 2.5}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "group_limit": {"groups": 3, "keep": 2, "by": "top2_sum"}, "renormalize": "always", "epsilon": 1e-20, "scale": 2.5}, "shared": {"size": 8}}""", 3),
        new("deepseek_v4", """{"n_routed_experts": 6, "moe_intermediate_size": 4, "n_shared_experts": 1, "scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc", "norm_topk_prob": true, "routed_scaling_factor": 1.5, "num_hash_layers": 2, "swiglu_limit": 10.0}""",
            """{"router": {"score": "sqrt_softplus", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 1.5}, "experts": {"limit": 10}, "shared": {"size": 4, "limit": 10}}""", 0, 1, 2, 3),
        new("dots1", $$"""{{{DeepseekKeys.Replace("\"sigmoid\"", "\"noaux_tc\"", StringComparison.Ordinal)}}, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 2.5}, "shared": {"size": 8}}""", 1, 2, 3),
        new("ernie4_5_moe", """{"moe_num_experts": 6, "moe_k": 2, "moe_intermediate_size": 4, "intermediate_size": 16, "moe_num_shared_experts": 2, "moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1, "use_bias": false}""",
            """{"router": {"correction_bias": true, "renormalize": "always", "epsilon": 1e-12}, "shared": {"size": 8}}""", 1, 2, 3),
        new("exaone_moe", """{"num_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "num_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 3, "topk_group": 2, "norm_topk_prob": true, "routed_scaling_factor": 2.5}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "group_limit": {"groups": 3, "keep": 2, "by": "top2_sum"}, "renormalize": "always", "epsilon": 1e-20, "scale": 2.5}, "shared": {"size": 4}}""", 1, 2, 3),
        new("flex_olmo", """{"num_experts": 6, "intermediate_size": 4}""", "{}", 0, 1, 2, 3),
        new("gemma4", """{"num_experts_per_tok": null, "top_k_experts": 2, "num_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "enable_moe_block": true, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6}""",
            """{"router": {"input_norm": {"kind": "rms", "epsilon": 1e-6}, "input_scale": true, "renormalize": "always", "per_expert_scale": true}, "experts": {"activation": "gelu_tanh"}}""", 0, 1, 2, 3),
        new("glm4_moe", $$"""{{{DeepseekKeys}}, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 1.0}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20}, "shared": {"size": 8}}""", 1, 2, 3),
        new("glm4_moe_lite", """{"n_routed_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 1.8, "mlp_layer_types": ["dense", "sparse", "dense", "sparse"]}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 1.8}, "shared": {"size": 4}}""", 1, 3),
        new("glm_moe_dsa", $$"""{{{DeepseekKeys}}, "first_k_dense_replace": 3, "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 2.5}, "shared": {"size": 8}}""", 3),
        new("gpt_oss", """{"num_local_experts": 6, "experts_per_token": 2, "intermediate_size": 4, "hidden_act": "silu", "swiglu_limit": 7.0}""",
            """{"router": {"logit_bias": true, "weights": "softmax_of_selected"}, "experts": {"activation": "gpt_oss", "bias": true, "limit": 7}}""", 0, 1, 2, 3),
        new("granitemoe", """{"num_local_experts": 6, "intermediate_size": 4}""", """{"router": {"weights": "softmax_of_selected"}}""", 0, 1, 2, 3),
        new("granitemoeshared", """{"num_local_experts": 6, "intermediate_size": 4, "shared_intermediate_size": 10}""", """{"router": {"weights": "softmax_of_selected"}, "shared": {"size": 10}}""", 0, 1, 2, 3),
        new("granitemoehybrid", """{"num_local_experts": 6, "intermediate_size": 4, "shared_intermediate_size": 10, "layer_types": ["mamba", "attention", "mamba", "mamba"]}""",
            """{"router": {"weights": "softmax_of_selected"}, "shared": {"size": 10}}""", 0, 1, 2, 3),
        new("hunyuan_v1_moe", """{"num_experts_per_tok": null, "num_experts": 6, "moe_topk": [1, 1, 3, 2], "intermediate_size": 4}""", """{"router": {"renormalize": "always"}, "shared": {"size": 4}}""", 0, 1, 2, 3),
        new("hy_v3", """{"num_experts": 6, "moe_intermediate_size": 4, "expert_hidden_dim": 4, "intermediate_size": 16, "num_shared_experts": 1, "first_k_dense_replace": 1, "route_norm": true, "moe_router_use_sigmoid": true, "moe_router_enable_expert_bias": true, "router_scaling_factor": 2.826}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 2.826}, "shared": {"size": 4}}""", 1, 2, 3),
        new("jamba", """{"num_experts": 6, "intermediate_size": 4, "expert_layer_period": 2, "expert_layer_offset": 1}""", "{}", 1, 3),
        new("kimi_k2", $$"""{{{DeepseekKeys}}, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.827}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 2.827}, "shared": {"size": 8}}""", 1, 2, 3),
        new("lfm2_moe", """{"num_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "num_dense_layers": 2, "use_expert_bias": true, "norm_topk_prob": true, "routed_scaling_factor": 1.5, "norm_eps": 1e-5}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-6, "scale": 1.5}}""", 2, 3),
        new("llama4_text", """{"num_local_experts": 6, "intermediate_size": 4, "intermediate_size_mlp": 16, "interleave_moe_layer_step": 2}""",
            """{"router": {"score": "sigmoid", "apply": "input"}, "shared": {"size": 4}}""", 1, 3),
        new("mimo_v2_flash", """{"n_routed_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "n_shared_experts": null, "moe_layer_freq": [0, 1, 0, 1], "scoring_func": "sigmoid", "topk_method": "noaux_tc", "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": null, "layernorm_epsilon": 1e-5}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20}}""", 1, 3),
        new("minimax_m2", """{"num_local_experts": 6, "intermediate_size": 4, "scoring_func": "sigmoid", "use_routing_bias": true, "shared_intermediate_size": 0}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always"}}""", 0, 1, 2, 3),
        new("mixtral", """{"num_local_experts": 6, "intermediate_size": 4}""", """{"router": {"renormalize": "always"}}""", 0, 1, 2, 3),
        new("olmoe", """{"num_experts": 6, "intermediate_size": 4, "norm_topk_prob": false}""", "{}", 0, 1, 2, 3),
        new("phimoe", """{"num_local_experts": 6, "intermediate_size": 4, "router_jitter_noise": 0.02}""", """{"router": {"select": "sparsemixer", "sparsemixer_jitter": 0.02}}""", 0, 1, 2, 3),
        new("qwen2_moe", """{"num_experts": 6, "moe_intermediate_size": 4, "shared_expert_intermediate_size": 10, "intermediate_size": 16, "decoder_sparse_step": 2, "norm_topk_prob": false}""",
            """{"shared": {"size": 10, "gated": true}}""", 1, 3),
        new("qwen3_moe", """{"num_experts": 6, "moe_intermediate_size": 4, "intermediate_size": 16, "mlp_only_layers": [0, 2], "norm_topk_prob": true}""", """{"router": {"renormalize": "always"}}""", 1, 3),
        new("qwen3_next", """{"num_experts": 6, "moe_intermediate_size": 4, "shared_expert_intermediate_size": 10, "intermediate_size": 16, "norm_topk_prob": true}""",
            """{"router": {"renormalize": "always"}, "shared": {"size": 10, "gated": true}}""", 0, 1, 2, 3),
        new("qwen3_5_moe_text", """{"num_experts": 6, "moe_intermediate_size": 4, "shared_expert_intermediate_size": 10}""", """{"router": {"renormalize": "always"}, "shared": {"size": 10, "gated": true}}""", 0, 1, 2, 3),
        new("solar_open", """{"n_routed_experts": 6, "moe_intermediate_size": 4, "n_shared_experts": 1, "first_k_dense_replace": 0, "n_group": 3, "topk_group": 2, "norm_topk_prob": true, "routed_scaling_factor": 1.0}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "group_limit": {"groups": 3, "keep": 2, "by": "top2_sum"}, "renormalize": "always", "epsilon": 1e-20}, "shared": {"size": 4}}""", 0, 1, 2, 3),
    ];
}
