using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The routing kernel against its readable twin, over random options, sizes and inputs, with gradients.</summary>
public sealed class RoutingTwinTests
{
    [Fact]
    public void Kernel_AnyRouting_HasTheTwinsPlanSumsAndGradients() => AnyRouting.Cases.ForEach(1000, Compare);

    [Theory]
    [InlineData(8, 2, 300)]
    [InlineData(64, 8, 130)]
    [InlineData(257, 9, 70)]
    public void Kernel_ManyTokens_HasTheTwinsPlanSumsAndGradients(int experts, int topK, int length) => Compare(new AnyRouting.Case(
        new MoeOptions
        {
            HiddenSize = 1,
            Experts = new() { IntermediateSize = 1 },
            Router = new() { ExpertCount = experts, TopK = topK, Score = ScoreFunction.Sigmoid, HasCorrectionBias = true, Renormalize = Renormalization.Always, RenormalizeEpsilon = 1e-20, Scale = 2.5 },
            LoadBalance = [new() { Coefficient = 0.1, Scope = BalanceScope.Sequence, Scores = BalanceScores.RouterNormalized, Counts = BalanceCounts.TopKOfScores }],
        },
        Sequences: 3, length, IsTraining: true, IsMasked: true, Seed: 5));

    private static void Compare(AnyRouting.Case sample)
    {
        using var scope = NewDisposeScope();
        var random = new Random(sample.Seed);
        var (options, experts) = (sample.Options, sample.Options.Router.ExpertCount);
        using var router = Router(sample, random);
        var call = Call(sample, random);
        var logits = AnyRouting.Grid(random, sample.Sequences, sample.Length, experts).requires_grad_();
        var twinLogits = logits.detach().clone().requires_grad_();
        var parts = new TorchRouter.Parts(
            router.CorrectionBias?.detach().clone().requires_grad_(), router.PerExpertScale?.detach().clone().requires_grad_(), router.QuantileBias, router.Table);

        var (plan, statistics) = router.Route(logits, call, call.Step!.Value);
        var twin = new TorchRouter(options);
        var expected = twin.Route(twinLogits, parts, call, sample.IsTraining);
        var kinds = new RoutingKernel(options).Kinds;
        var (scores, z) = twin.Sums(twinLogits, parts, call, kinds, statistics.Sums.GroupCount);

        TensorAssert.Same(expected.Experts, plan.Experts, "experts");
        TensorAssert.Close(expected.Weights, plan.Weights, 1e-5, "weights", scale: 0.1);
        TensorAssert.Same(expected.Order, plan.Order, "order");
        Assert.Equal(TensorAssert.Values(expected.Counts), plan.Counts.Select(count => (double)count));
        TensorAssert.Close(z, statistics.ZSum, 1e-5, "z");
        var ours = stack(kinds.Select((_, kind) => statistics.ScoreSums(kind)));
        TensorAssert.Close(scores, ours, 1e-5, "score sums", scale: 0.1);

        var (dWeights, dScores) = (AnyLayer.Draw(random, plan.Weights.shape), AnyLayer.Draw(random, scores.shape));
        GuardedBackward.Run((plan.Weights * dWeights).sum() + (ours * dScores).sum() + statistics.ZSum * 0.3);
        GuardedBackward.Run((expected.Weights * dWeights).sum() + (scores * dScores).sum() + z * 0.3);

        TensorAssert.Close(twinLogits.grad!, logits.grad!, 2e-5, "gradient of the logits", scale: 0.5);
        if (parts.PerExpertScale is { } scale) TensorAssert.Close(scale.grad!, router.PerExpertScale!.grad!, 2e-5, "gradient of the per-expert scale", scale: 0.5);
        if (parts.CorrectionBias is { } bias) TensorAssert.Close(bias.grad ?? zeros_like(bias), router.CorrectionBias!.grad!, 2e-5, "gradient of the correction bias", scale: 0.5);
    }

    private static Router Router(AnyRouting.Case sample, Random random)
    {
        var router = new Router(sample.Options, null);
        using (no_grad())
        {
            router.CorrectionBias?.copy_(AnyRouting.Grid(random, sample.Options.Router.ExpertCount) / 4);
            router.PerExpertScale?.copy_(AnyLayer.Draw(random, sample.Options.Router.ExpertCount) + 1);
            router.QuantileBias?.copy_(AnyRouting.Grid(random, sample.Options.Router.ExpertCount) / 4);
        }

        router.CorrectionBias?.requires_grad_();
        router.train(sample.IsTraining);
        return router;
    }

    private static RoutingCall Call(AnyRouting.Case sample, Random random)
    {
        var router = sample.Options.Router;
        long[] shape = [sample.Sequences, sample.Length];
        float[] Draws(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() + 1e-3f)];
        return new RoutingCall
        {
            Step = sample.Seed,
            TokenMask = sample.IsMasked ? tensor(Enumerable.Range(0, sample.Tokens).Select(_ => random.Next(3) > 0).ToArray(), shape) : null,
            TokenIds = tensor(Enumerable.Range(0, sample.Tokens).Select(_ => (long)random.Next(11)).ToArray(), shape),
            Experts = router.Select is Selection.Forced
                ? tensor(Enumerable.Range(0, sample.Tokens).SelectMany(_ => Given(router, random)).ToArray(), [.. shape, router.TopK])
                : null,
            Draws = router.Select is Selection.SparseMixer && sample.IsTraining
                ? new([Draws(sample.Tokens * router.ExpertCount), Draws(sample.Tokens * router.ExpertCount)], [Draws(sample.Tokens), Draws(sample.Tokens)])
                : null,
        };
    }

    // some tokens have fewer experts than others
    private static IEnumerable<long> Given(RouterOptions router, Random random)
    {
        int count = random.Next(router.TopK + 1);
        return Enumerable.Range(0, router.ExpertCount).OrderBy(_ => random.Next()).Take(count).Select(expert => (long)expert).Concat(Enumerable.Repeat(-1L, router.TopK - count));
    }
}
