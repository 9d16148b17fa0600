using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>Routing that is given, not computed: the same for every engine, with weights 1 / K.</summary>
internal static class ForcedRouting
{
    /// <summary>A plan that the same seed gives again; its weights require a gradient if asked for.</summary>
    public static RoutingTensors Create(LayerShape shape, int tokens, RoutingSuite suite, int seed, bool requiresGradient)
    {
        var random = new Random(seed);
        int[] ranked = [.. Enumerable.Range(0, shape.Experts)];
        random.Shuffle(ranked);
        int[] experts = suite == RoutingSuite.Balanced ? Balanced(ranked, tokens * shape.TopK) : Zipf(ranked, tokens, shape.TopK, random);

        var plan = new RoutingPlan(experts, tokens, shape.TopK, shape.Experts);
        Array.Fill(plan.Weights, 1f / shape.TopK);
        ExpertOrder.Fill(plan);
        return new RoutingTensors(full(tokens, shape.TopK, plan.Weights[0], float32).requires_grad_(requiresGradient), plan);
    }

    // around and around: neighbours differ as long as there are K experts
    private static int[] Balanced(int[] ranked, int pairs) => [.. Enumerable.Range(0, pairs).Select(pair => ranked[pair % ranked.Length])];

    // the K least of independent exponential times with rates 1 / rank are a draw without replacement
    private static int[] Zipf(int[] ranked, int tokens, int topK, Random random) =>
    [
        .. Enumerable.Range(0, tokens).SelectMany(_ => Enumerable.Range(0, ranked.Length)
            .Select(rank => (Expert: ranked[rank], Time: -Math.Log(1 - random.NextDouble()) * (rank + 1)))
            .OrderBy(draw => draw.Time).Take(topK).Select(draw => draw.Expert)),
    ];
}
