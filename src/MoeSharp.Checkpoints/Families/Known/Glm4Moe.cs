using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>GLM-4.5, 4.5-Air, 4.6, and the language model of 4.5V: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily Glm4Moe = new()
    {
        ModelTypes = ["glm4_moe", "glm4v_moe", "glm4v_moe_text"],
        Describe = config => DescribeSigmoid(config, firstSparse: 1),
        Layouts = [DeepseekLayout],
        Gguf = [new("glm4moe", DeepseekKeys) { Model = ("glm4_moe", "Glm4MoeForCausalLM"), ExpertKeys = ("n_routed_experts", "num_experts_per_tok"), Defaults = Ungrouped, Names = GgufNames.PostAttention, Complete = PartialRotation }],
    };

    private static void PartialRotation(GgufFile file, JsonObject json)
    {
        json["use_qk_norm"] = file.Tensors.ContainsKey("blk.0.attn_q_norm.weight");
        if (Integer(file, "rope.dimension_count") is { } rotated && GgufConfig.WholeIn(json, "head_dim") is > 0 and { } size) json["partial_rotary_factor"] = (double)rotated / size;
    }
}
