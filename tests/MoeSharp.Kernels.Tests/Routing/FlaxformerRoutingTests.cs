using System.Text.Json;

namespace MoeSharp.Kernels.Tests;

/// <summary>
/// The routing tests of google/flaxformer: batch-prioritised and positional dispatch, masks, expert choice, losses. They compute in
/// bfloat16; their rounded probabilities are routed here as they are, by a router whose score is the logit.
/// </summary>
public sealed class FlaxformerRoutingTests
{
    private const double BFloat16Loss = 0.01;       // their logsumexp is rounded within; 2^-8 each way

    private static readonly JsonElement Cases = RoutingTestKit.Fixture("flaxformer-routers.json").GetProperty("cases");

    [Theory]
    [InlineData("scatter_top1_bpr")]
    [InlineData("scatter_top1_position")]
    [InlineData("mask_top1_bpr")]
    public void TokensChoose_HasTheReferencesSlotsWeightsAndLosses(string name)
    {
        var golden = Cases.GetProperty(name);
        var (groups, tokens, experts, capacity) = (Int(golden, "groups"), Int(golden, "tokens"), Int(golden, "experts"), Int(golden, "capacity"));
        var order = golden.GetProperty("batch_prioritized").GetBoolean() ? CapacityOrder.PriorityFirst : CapacityOrder.ChoiceFirst;
        var kernel = RoutingTestKit.Kernel(
            new() { ExpertCount = experts, TopK = 1, Score = ScoreFunction.Identity }, new() { Slots = capacity, Order = order }, new LoadBalanceOptions { Coefficient = 1, Scope = BalanceScope.Sequence, Scores = BalanceScores.Router });
        var input = new RoutingInput { Logits = RoutingTestKit.Floats(golden.GetProperty("probs_bf16")), Sequences = groups, SequenceLength = tokens };

        var plan = kernel.Route(input);

        int[][] expected = [.. RoutingTestKit.Ints(golden.GetProperty("slots")).Chunk(2)];       // (expert, place in its queue)
        Assert.Equal(expected.Select(slot => slot[0]), plan.Experts);
        Assert.Equal(expected.Select(slot => slot[1] < capacity ? slot[1] : -1), plan.Slots!);
        Assert.Equal(RoutingTestKit.Floats(golden.GetProperty("weights")), plan.Weights.Select((weight, pair) => plan.IsKept(pair) ? weight : 0));
        Assert.Equal(golden.GetProperty("aux_loss").GetDouble(), RoutingTestKit.LoadBalance(kernel.Sum(input, plan), kind: 1), 1e-6);
    }

    [Theory]
    [InlineData("scatter_top1_bpr")]
    [InlineData("mask_top1_bpr")]
    [InlineData("experts_choose")]
    public void Softmax_OfTheReferencesLogits_IsItsProbabilitiesAndZLoss(string name)
    {
        var golden = Cases.GetProperty(name);
        int experts = Int(golden, "experts");
        float[] logits = RoutingTestKit.Floats(golden.GetProperty("logits_bf16")), expected = RoutingTestKit.Floats(golden.GetProperty("probs_bf16")), scores = new float[logits.Length];
        var input = new RoutingInput { Logits = logits, Sequences = 1, SequenceLength = logits.Length / experts };
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = experts, TopK = 1 });

        var plan = kernel.Route(input, scores);

        Assert.Equal(expected, scores, (a, b) => Math.Abs(a - b) <= 1f / 256);       // rounded within as well, so by more than a last place
        Assert.Equal(golden.GetProperty("z_loss").GetDouble(), kernel.Sum(input, plan).Z / plan.TokenCount, BFloat16Loss);
    }

    [Fact]
    public void ExpertsChoose_TakesTheReferencesTokens()
    {
        var golden = Cases.GetProperty("experts_choose");
        var (groups, tokens, experts, capacity) = (Int(golden, "groups"), Int(golden, "tokens"), Int(golden, "experts"), Int(golden, "capacity"));
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = experts, TopK = 1, Score = ScoreFunction.Identity, Select = new Selection.ExpertChoice() }, new() { Slots = capacity });

        var plan = kernel.Route(new RoutingInput { Logits = RoutingTestKit.Floats(golden.GetProperty("probs_bf16")), Sequences = groups, SequenceLength = tokens });

        // per group and expert, (token, weight) of each slot
        var expected = golden.GetProperty("chosen").EnumerateArray().SelectMany((chosen, i) =>
            chosen.EnumerateArray().Select(slot => ((i / experts * tokens) + slot[0].GetInt32(), i % experts, slot[1].GetSingle())));
        var actual = plan.Order.Select(pair => (pair / plan.Width, plan.Experts[pair], plan.Weights[pair]));
        Assert.Equal(expected.Order(), actual.Order(), (a, b) => a.Item1 == b.Item1 && a.Item2 == b.Item2 && Math.Abs(a.Item3 - b.Item3) < 1e-6);
    }

    [Fact]
    public void ZLoss_InFloat32_IsTheReferences()
    {
        var golden = Cases.GetProperty("z_loss_fp32");
        float[] logits = RoutingTestKit.Floats(golden.GetProperty("logits"));
        int tokens = golden.GetProperty("logits").GetArrayLength();
        var kernel = RoutingTestKit.Kernel(new() { ExpertCount = logits.Length / tokens, TopK = 1 });
        var input = new RoutingInput { Logits = logits, Sequences = 1, SequenceLength = tokens };

        Assert.Equal(golden.GetProperty("expected").GetDouble(), kernel.Sum(input, kernel.Route(input)).Z / tokens, 1e-5);
    }

    private static int Int(JsonElement golden, string name) => golden.GetProperty(name).GetInt32();
}
