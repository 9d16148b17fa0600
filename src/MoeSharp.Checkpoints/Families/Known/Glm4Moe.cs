namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>GLM-4.5, 4.5-Air, 4.6, and the language model of 4.5V: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily Glm4Moe = new()
    {
        ModelTypes = ["glm4_moe", "glm4v_moe", "glm4v_moe_text"],
        Describe = config => DescribeSigmoid(config, firstSparse: 1),
        Layouts = [DeepseekLayout],
        Gguf = [new("glm4moe", DeepseekKeys) { Defaults = Ungrouped }],
    };
}
