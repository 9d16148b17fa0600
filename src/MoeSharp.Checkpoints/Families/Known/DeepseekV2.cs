using System.Text.Json;
using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>DeepSeek-V2 (arXiv:2405.04434): softmax, groups ranked by their best expert, weights scaled and not renormalised.</summary>
    internal static readonly ModelFamily DeepseekV2 = new()
    {
        ModelTypes = ["deepseek_v2"],
        Describe = config =>
        {
            config.Require("scoring_func", "softmax");
            config.Require("topk_method", "greedy", "group_limited_greedy");
            config.Require("norm_topk_prob", false);        // where it is true, the published code and transformers differ
            bool isLimited = config.Moe.Find("topk_method") is { ValueKind: JsonValueKind.String } method && method.ValueEquals("group_limited_greedy");
            return DescribeDeepseek(config, router => router with { GroupLimit = isLimited ? config.Groups(GroupRanking.Max) : null });
        },
        Layouts = [DeepseekLayout],
        Gguf = [
            DeepseekV2File("greedy") with { Applies = file => !IsSigmoid(file) && !IsGrouped(file) },
            DeepseekV2File("group_limited_greedy") with { Applies = file => !IsSigmoid(file) && IsGrouped(file) },
        ],
    };

    private static GgufFamily DeepseekV2File(string method) => DeepseekFile("deepseek2", "deepseek_v2", "DeepseekV2ForCausalLM") with { Constants = $$"""{"scoring_func": "softmax", "topk_method": "{{method}}"}""" };

    private static GgufFamily DeepseekFile(string architecture, string type, string model) =>
        new(architecture, DeepseekKeys) { Model = (type, model), ExpertKeys = ("n_routed_experts", "num_experts_per_tok"), Names = GgufNames.Latent, Complete = LatentAttention };

    // such files have keys and values of one head, which is as wide as what all are made from
    private static void LatentAttention(GgufFile file, JsonObject json)
    {
        if (Integer("attention.kv_lora_rank") is not { } rank) return;

        json["kv_lora_rank"] = rank;
        if (Integer("attention.q_lora_rank") is { } queryRank) json["q_lora_rank"] = queryRank;
        json["num_key_value_heads"] = json["num_attention_heads"]?.DeepClone();
        json.Remove("head_dim");
        AddYarnFactors(file, json);
        if ((Integer("attention.value_length_mla") ?? Integer("attention.value_length")) is { } values) json["v_head_dim"] = values;
        if (Integer("rope.dimension_count") is not { } rotated || (Integer("attention.key_length_mla") ?? Integer("attention.key_length")) is not { } keys) return;

        json["qk_rope_head_dim"] = rotated;
        json["qk_nope_head_dim"] = keys - rotated;

        long? Integer(string key) => file.Metadata.TryGetValue($"{file.Architecture}.{key}", out var value) && value.TryGetInteger(out long number) ? number : null;
    }

    // llama.cpp stores a tenth of mscale_all_dim, and computes as if mscale were the same: so it is in all released models
    private static void AddYarnFactors(GgufFile file, JsonObject json)
    {
        if (json["rope_scaling"] is not JsonObject scaling || !file.Metadata.TryGetValue($"{file.Architecture}.rope.scaling.yarn_log_multiplier", out var multiplier) || !multiplier.TryGetNumber(out double tenth)) return;

        scaling["mscale_all_dim"] = Math.Round(10 * tenth, 6);
        scaling["mscale"] = Math.Round(10 * tenth, 6);
    }

    private const int SigmoidGating = 2;        // expert_gating_func of GGUF files

    private static (string Key, string Metadata)[] DeepseekKeys =>
    [
        ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length"), ("n_shared_experts", "expert_shared_count"),
        ("first_k_dense_replace", "leading_dense_block_count"), ("n_group", "expert_group_count"), ("topk_group", "expert_group_used_count"),
        ("routed_scaling_factor", "expert_weights_scale"), ("norm_topk_prob", "expert_weights_norm"),
    ];

    private static bool IsGrouped(GgufFile file) => file.Metadata.TryGetValue($"{file.Architecture}.expert_group_count", out var groups) && groups.GetInteger() > 1;

    private static bool IsSigmoid(GgufFile file) => file.Metadata.TryGetValue($"{file.Architecture}.expert_gating_func", out var gating) && gating.GetInteger() == SigmoidGating;

    /// <summary>What DeepSeek-V2 and its successors share: dense layers first, and shared experts of the routed ones' width.</summary>
    private static ModelDescription DescribeDeepseek(FamilyConfig config, Func<RouterOptions, RouterOptions> route, int firstSparse = 0, string sharedKey = "n_shared_experts")
    {
        config.Require("mlp_bias", false);
        config.Require("moe_layer_freq", 1);
        int width = config.Width("moe_intermediate_size");
        var layer = config.Layer(width);
        var moe = layer with { Router = route(layer.Router with { Scale = config.Scale() }), Shared = config.Shared(sharedKey, width) };
        return config.Model(config.AfterFirst(moe, absent: firstSparse));
    }

    private static LayerLayout DeepseekLayout => new()
    {
        Prefixes = [.. LayerLayout.UsualPrefixes, "language_model.model.blocks.{l}."],      // the last as transformers 5 saves Kimi-K2.5
        Router = "mlp.gate",
        CorrectionBias = "mlp.gate.e_score_correction_bias",
        Experts = [Stored.PerExpert("mlp.experts"), Stored.Fused("mlp.experts")],
        Shared = [Stored.Single("mlp.shared_experts")],
    };
}
