namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>K-EXAONE: the layers of DeepSeek-V3.</summary>
    internal static readonly ModelFamily ExaoneMoe = new()
    {
        ModelTypes = ["exaone_moe"],
        Describe = config => DescribeScaled(config, firstSparse: 1, sharedKey: "num_shared_experts"),
        Layouts = [DeepseekLayout with { CorrectionBias = "mlp.e_score_correction_bias" }, DeepseekLayout],
    };
}
