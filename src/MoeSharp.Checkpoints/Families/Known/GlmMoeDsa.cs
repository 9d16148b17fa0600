namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>GLM-5: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily GlmMoeDsa = new()
    {
        ModelTypes = ["glm_moe_dsa"],
        Describe = config => DescribeScaled(config, firstSparse: 3),
        Layouts = [DeepseekLayout],
    };
}
