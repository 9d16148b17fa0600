namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Kimi-K2, and the language model of K2.5: DeepSeek-V3 without groups.</summary>
    internal static readonly ModelFamily KimiK2 = new()
    {
        ModelTypes = ["kimi_k2", "kimi_k25"],
        Describe = DescribeDeepseekV3,
        Layouts = [DeepseekLayout],
    };
}
