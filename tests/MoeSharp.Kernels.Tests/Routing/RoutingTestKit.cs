using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

/// <summary>Kernels and JSON fixtures for the tests of routing.</summary>
internal static class RoutingTestKit
{
    public static RoutingKernel Kernel(RouterOptions router, CapacityOptions? capacity = null, params LoadBalanceOptions[] losses) => new(new MoeOptions
    {
        HiddenSize = 1,
        Experts = new() { IntermediateSize = 1 },
        Router = router,
        Dispatch = new() { Capacity = capacity },
        LoadBalance = losses,
    });

    /// <summary>One sequence for a router, with the bias and the scale if it has them.</summary>
    public static RoutingInput Input(RouterOptions router, float[] logits, float[] bias, float[] scale, bool[]? mask = null, long[]? experts = null) => new()
    {
        Logits = logits,
        Sequences = 1,
        SequenceLength = logits.Length / router.ExpertCount,
        CorrectionBias = router.HasCorrectionBias ? bias : [],
        PerExpertScale = router.HasPerExpertScale ? scale : [],
        Mask = mask,
        Experts = experts,
    };

    /// <summary>E · Σ f · P per group of the sums, averaged over the groups: the loss of <see cref="BalanceScope.Sequence"/> with coefficient 1.</summary>
    public static double LoadBalance(RoutingSums sums, int kind)
    {
        double loss = 0;
        for (int i = 0; i < sums.Routed.Length; i++)
        {
            double tokens = sums.Tokens[i / sums.ExpertCount];
            loss += sums.ExpertCount * (sums.Routed[i] / tokens) * (sums.Scores[kind][i] / tokens) / sums.GroupCount;
        }

        return loss;
    }

    public static JsonElement Fixture(string name) => JsonDocument.Parse(File.ReadAllText(Fixtures.Path("routing", name))).RootElement;

    /// <summary>All numbers below an element, row by row.</summary>
    public static float[] Floats(JsonElement element) => [.. Numbers(element).Select(number => (float)number)];

    public static int[] Ints(JsonElement element) => [.. Numbers(element).Select(number => (int)number)];

    public static float[] Draw(int seed, int count, float range = 2)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2 - 1) * range)];
    }

    private static IEnumerable<double> Numbers(JsonElement element) => element.ValueKind == JsonValueKind.Array ? element.EnumerateArray().SelectMany(Numbers) : [element.GetDouble()];
}
