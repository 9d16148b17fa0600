namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>GLM-4.7-Flash: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily Glm4MoeLite = new()
    {
        ModelTypes = ["glm4_moe_lite"],
        Describe = config => DescribeScaled(config, firstSparse: 1),
        Layouts = [DeepseekLayout],
    };
}
