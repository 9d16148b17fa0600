namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Mistral Small 4: softmax, groups ranked by their best two, renormalised, scaled; shared.</summary>
    internal static readonly ModelFamily Mistral4 = new()
    {
        ModelTypes = ["mistral4"],
        Describe = config => DescribeDeepseek(config, router => router with
        {
            GroupLimit = config.Groups(GroupRanking.TopTwoSum),
            Renormalize = config.Renormalize(absent: true),
            RenormalizeEpsilon = 1e-20,
        }),
        Layouts = [DeepseekLayout with { Experts = [Stored.Fused("mlp.experts"), Stored.PerExpert("mlp.experts")] }],       // published fused
    };
}
