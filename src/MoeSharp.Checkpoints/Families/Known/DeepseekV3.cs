namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>DeepSeek-V3, R1, V3.1 and V3.2 (arXiv:2412.19437), and Kimi-K2 of the same architecture: sigmoid, a bias that only selects, groups ranked by their best two.</summary>
    internal static readonly ModelFamily DeepseekV3 = new()
    {
        ModelTypes = ["deepseek_v3", "deepseek_v32"],
        Describe = DescribeDeepseekV3,
        Layouts = [DeepseekLayout],
        Gguf = [
            DeepseekFile("deepseek2", "deepseek_v3", "DeepseekV3ForCausalLM") with { Defaults = Ungrouped, Constants = SigmoidMethod, Applies = IsSigmoid },
            DeepseekFile("deepseek32", "deepseek_v32", "DeepseekV32ForCausalLM") with { Defaults = Ungrouped, Constants = SigmoidMethod },
        ],
    };

    // keys that converters leave out where they say nothing
    private const string Ungrouped = """{"n_group": 1, "topk_group": 1, "norm_topk_prob": false, "routed_scaling_factor": 1}""";

    private const string SigmoidMethod = """{"scoring_func": "sigmoid", "topk_method": "noaux_tc"}""";

    private static ModelDescription DescribeDeepseekV3(FamilyConfig config)
    {
        config.Json.Fault(config.Json.Find("n_group") is null, "n_group is absent; expected the number of groups, 1 for none: the defaults of implementations differ.");
        return DescribeScaled(config, firstSparse: 3);
    }

    /// <summary>The router of DeepSeek-V3, which many families took over; what their configs leave out differs.</summary>
    private static ModelDescription DescribeSigmoid(FamilyConfig config, int firstSparse, bool renormalizes = true, string sharedKey = "n_shared_experts") =>
        DescribeDeepseek(config, router => SigmoidWithBias(config, router, renormalizes), firstSparse, sharedKey);

    /// <summary>The same where the factor of the weights must be given.</summary>
    private static ModelDescription DescribeScaled(FamilyConfig config, int firstSparse, string sharedKey = "n_shared_experts")
    {
        config.Json.Fault(config.Json.Find("routed_scaling_factor") is null, "routed_scaling_factor is absent; expected the factor of the weights: the defaults of implementations differ.");
        return DescribeSigmoid(config, firstSparse, sharedKey: sharedKey);
    }

    private static RouterOptions SigmoidWithBias(FamilyConfig config, RouterOptions router, bool renormalizes)
    {
        config.Require("scoring_func", "sigmoid", "noaux_tc");       // dots.llm1 writes the method there
        config.Require("topk_method", "noaux_tc");
        return BiasedSigmoid(router with { GroupLimit = config.Groups(GroupRanking.TopTwoSum) }, config.Renormalize(absent: renormalizes));
    }

    // what that router is without its keys, which others name otherwise
    private static RouterOptions BiasedSigmoid(RouterOptions router, Renormalization renormalize) =>
        router with { Score = ScoreFunction.Sigmoid, HasCorrectionBias = true, Renormalize = renormalize, RenormalizeEpsilon = 1e-20 };
}
