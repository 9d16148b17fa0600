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
        new(architecture, DeepseekKeys) { Model = (type, model), ExpertKeys = ("n_routed_experts", "num_experts_per_tok"), Names = GgufNames.Latent, Complete = CompleteDeepseek };

    private static void CompleteDeepseek(GgufFile file, JsonObject json)
    {
        if (Integer(file, GroupCount) is null && ReleasedGroups(file) is var (groups, kept)) (json["n_group"], json["topk_group"]) = (groups, kept);
        LatentAttention(file, json);
    }

    private const string GroupCount = "expert_group_count";

    // older converters leave the groups out: those of DeepSeek-V2 and of V3, with or without the layer that predicts several tokens
    private static (int Groups, int Kept)? ReleasedGroups(GgufFile file) => (Integer(file, "expert_count"), Integer(file, "block_count")) switch
    {
        (160, 60) => (8, 3),
        (256, 61 or 62) => (8, 4),
        _ => null,
    };

    // such files have keys and values of one head, which is as wide as what all are made from
    private static void LatentAttention(GgufFile file, JsonObject json)
    {
        if (Integer(file, "attention.kv_lora_rank") is not { } rank) return;

        json["kv_lora_rank"] = rank;
        json["q_lora_rank"] = Integer(file, "attention.q_lora_rank");        // null for none: absent, it would have a default
        json["num_key_value_heads"] = json["num_attention_heads"]?.DeepClone();
        json.Remove("head_dim");
        AddYarnFactors(file, json);
        if ((Integer(file, "attention.value_length_mla") ?? Integer(file, "attention.value_length")) is { } values) json["v_head_dim"] = values;
        if (Integer(file, "rope.dimension_count") is not { } rotated || (Integer(file, "attention.key_length_mla") ?? Integer(file, "attention.key_length")) is not { } keys) return;

        json["qk_rope_head_dim"] = rotated;
        json["qk_nope_head_dim"] = keys - rotated;
    }

    private static long? Integer(GgufFile file, string key) => file.Metadata.TryGetValue($"{file.Architecture}.{key}", out var value) && value.TryGetInteger(out long number) ? number : null;

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
        ("index_n_heads", "attention.indexer.head_count"), ("index_head_dim", "attention.indexer.key_length"), ("index_topk", "attention.indexer.top_k"),
    ];

    private static bool IsGrouped(GgufFile file) => (Integer(file, GroupCount) ?? ReleasedGroups(file)?.Groups) > 1;

    // a file that does not say (GLM-4.7-Flash) has the bias of such a router, or not
    private static bool IsSigmoid(GgufFile file) => Integer(file, "expert_gating_func") is { } gating
        ? gating == SigmoidGating
        : file.Tensors.Keys.Any(name => name.EndsWith($".{GgufFamily.Layout.CorrectionBias}", StringComparison.Ordinal));

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
