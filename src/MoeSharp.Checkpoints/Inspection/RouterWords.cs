using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>A router in one line, in the order in which it computes.</summary>
internal static class RouterWords
{
    public static string Of(RouterOptions router) => string.Join(", ", Steps(router));

    private static IEnumerable<string> Steps(RouterOptions router)
    {
        if (router.InputNorm is { } norm) yield return norm.HasScale ? "input normalised and scaled" : "input normalised";

        yield return Scores(router) + (router.HasCorrectionBias ? " + correction bias" : "");
        if (router.GroupLimit is { } limit) yield return $"{limit.Keep} of {limit.Groups} groups by {Ranking(limit)}";

        yield return Selected(router);
        if (router.Weights == WeightSource.SoftmaxOfSelected) yield return "weights by a softmax over the selected logits";
        if (router.Renormalize == Renormalization.Always) yield return "renormalised";
        if (router.Renormalize == Renormalization.PNorm) yield return Invariant($"divided by their {router.RenormalizePower}-norm");
        if (router.Scale != 1) yield return Invariant($"x {router.Scale}");
        if (router.HasPerExpertScale) yield return "x a scale of the expert";
        if (router.ApplyTo == WeightTarget.Input) yield return "applied to the expert's input";
    }

    private static string Scores(RouterOptions router)
    {
        string logits = router.HasLogitBias ? "logits + bias" : "logits", of = router.HasLogitBias ? " of logits + bias" : "";
        bool ranksLogits = router.Weights == WeightSource.SoftmaxOfSelected && !router.HasCorrectionBias && router.GroupLimit is null;      // a softmax keeps their order
        return router.Score switch
        {
            ScoreFunction.Softmax => ranksLogits ? logits : $"softmax scores{of}",
            ScoreFunction.Sigmoid => $"sigmoid scores{of}",
            ScoreFunction.SqrtSoftplus => $"sqrt(softplus) scores{of}",
            _ => logits,
        };
    }

    private static string Ranking(GroupLimit limit) => limit.By switch
    {
        GroupRanking.Max => "their best",
        GroupRanking.TopTwoSum => "the sum of their best two",
        _ => $"the sum of their best {limit.Count}",
    };

    private static string Selected(RouterOptions router) => router.Select switch
    {
        Selection.TokenTable => $"{router.TopK} by a table of token ids",
        Selection.Random => $"{router.TopK} at random",
        Selection.RoundRobin => $"{router.TopK} in turn",
        Selection.Forced => $"{router.TopK} given with each call",
        Selection.ExpertChoice => "experts choose their tokens",
        Selection.SparseMixer => $"{router.TopK} by SparseMixer",
        Selection.Sinkhorn => $"top {router.TopK}, in training balanced by Sinkhorn iteration",
        Selection.QuantileBalance => $"top {router.TopK} of logits less a quantile bias",
        _ => $"top {router.TopK}",
    };

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
