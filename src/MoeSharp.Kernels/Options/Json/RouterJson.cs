using System.Text.Json;

namespace MoeSharp;

/// <summary>The fields of "router".</summary>
internal static class RouterJson
{
    private const int DefaultCount = 2;     // GroupLimit.Count

    public static RouterOptions Read(ObjectReader router, int expertCount, int topK)
    {
        var options = new RouterOptions
        {
            ExpertCount = expertCount,
            TopK = topK,
            Score = router.Word("score", OptionWords.Score),
            HasLogitBias = router.Flag("logit_bias"),
            HasCorrectionBias = router.Flag("correction_bias"),
            HasPerExpertScale = router.Flag("per_expert_scale"),
            InputNorm = ReadInputNorm(router),
            InputJitter = router.Number("input_jitter", 0),
            LogitJitter = router.Number("logit_jitter", 0),
            Seed = router.Integer("seed", 0),
            GroupLimit = router.ObjectOrNull("group_limit", ReadGroupLimit),
            Select = SelectionJson.Read(router),
            Weights = router.Word("weights", OptionWords.Weights),
            Renormalize = router.Word("renormalize", OptionWords.Renormalize),
            RenormalizePower = router.Number("p", 1),
            RenormalizeEpsilon = router.Number("epsilon", 0),
            Scale = router.Number("scale", 1),
            ApplyTo = router.Word("apply", OptionWords.Apply),
        };

        router.OnlyWith("p", "renormalize", "p_norm", options.Renormalize == Renormalization.PNorm);
        return options;
    }

    public static void Write(Utf8JsonWriter json, RouterOptions options)
    {
        json.WriteWord("score", OptionWords.Score, options.Score);
        json.WriteFlag("logit_bias", options.HasLogitBias);
        json.WriteFlag("correction_bias", options.HasCorrectionBias);
        json.WriteFlag("per_expert_scale", options.HasPerExpertScale);
        json.WriteObject("input_norm", options.InputNorm, WriteInputNorm);
        json.WriteFlag("input_scale", options.InputNorm is { HasScale: true });
        json.WriteUnless(0.0, "input_jitter", options.InputJitter);
        json.WriteUnless(0.0, "logit_jitter", options.LogitJitter);
        json.WriteUnless(0, "seed", options.Seed);
        json.WriteObject("group_limit", options.GroupLimit, WriteGroupLimit);
        SelectionJson.Write(json, options.Select);
        json.WriteWord("weights", OptionWords.Weights, options.Weights);
        json.WriteWord("renormalize", OptionWords.Renormalize, options.Renormalize);
        if (options.Renormalize == Renormalization.PNorm) json.WriteUnless(1.0, "p", options.RenormalizePower);
        json.WriteUnless(0.0, "epsilon", options.RenormalizeEpsilon);
        json.WriteUnless(1.0, "scale", options.Scale);
        json.WriteWord("apply", OptionWords.Apply, options.ApplyTo);
    }

    private static RouterInputNorm? ReadInputNorm(ObjectReader router)
    {
        bool hasScale = router.Flag("input_scale");
        router.When(hasScale && !router.IsGiven("input_norm"), "input_scale", "is true, but there is no input_norm for it to scale; give input_norm, or leave it out.");
        return router.ObjectOrNull("input_norm", norm =>
        {
            norm.Word("kind", OptionWords.InputNorm);
            return new RouterInputNorm(norm.Number("epsilon"), hasScale);
        });
    }

    private static GroupLimit ReadGroupLimit(ObjectReader limit)
    {
        var by = limit.Word("by", OptionWords.RankGroupsBy, absent: GroupRanking.TopTwoSum);
        limit.OnlyWith("count", "by", "top_sum", by == GroupRanking.TopSum);
        return new GroupLimit(limit.Integer("groups"), limit.Integer("keep"), by) { Count = limit.Integer("count", DefaultCount) };
    }

    private static void WriteInputNorm(Utf8JsonWriter json, RouterInputNorm norm)
    {
        json.WriteString("kind", OptionWords.InputNorm.For(true));
        json.WriteNumber("epsilon", norm.Epsilon);
    }

    private static void WriteGroupLimit(Utf8JsonWriter json, GroupLimit limit)
    {
        json.WriteNumber("groups", limit.Groups);
        json.WriteNumber("keep", limit.Keep);
        json.WriteString("by", OptionWords.RankGroupsBy.For(limit.By));
        if (limit.By == GroupRanking.TopSum) json.WriteNumber("count", limit.Count);
    }
}
