namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>GLM-4.5, 4.5-Air and 4.6: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily Glm4Moe = new()
    {
        ModelTypes = ["glm4_moe"],
        Describe = config => DescribeSigmoid(config, firstSparse: 1),
        Layouts = [DeepseekLayout],
    };
}
