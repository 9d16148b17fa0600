using static TorchSharp.torch;

namespace MoeSharp.Tests;

public sealed class RoutingStatisticsTests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 4,
        Router = new RouterOptions { ExpertCount = 4, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = 3 },
    };

    [Fact]
    public void Statistics_EvenRouter_HaveTheirKnownValues()
    {
        using var scope = NewDisposeScope();
        using var layer = WithGate(eye(4) * 1e-4f); // token e prefers expert e by next to nothing, then the lowest of the others
        var hidden = cat([eye(4), eye(4) + eye(4).roll(2, 1)]); // every expert is first once, and again in pairs

        var statistics = layer.call(hidden).Statistics;

        Assert.Equal(8, statistics.TokenCount);
        Assert.Equal(16, TensorAssert.Values(statistics.TokensPerExpert).Sum());
        Assert.Equal(2, statistics.LoadBalanceLoss.item<float>(), 1e-4);
        Assert.Equal(Math.Pow(Math.Log(4), 2), statistics.ZLoss.item<float>(), 1e-3);
        Assert.Equal(Math.Log(4), statistics.Load.Entropy, 1e-4);
        Assert.True(statistics.ZLoss.requires_grad);
    }

    [Fact]
    public void LoadBalance_ConfidentRouterWithOneFavourite_IsMuchAboveK()
    {
        using var scope = NewDisposeScope();
        using var layer = WithGate(tensor(new[] { 9f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }).reshape(4, 4));

        var statistics = layer.call(ones(6, 4)).Statistics;

        Assert.Equal([6, 6, 0, 0], TensorAssert.Values(statistics.TokensPerExpert));
        Assert.Equal(4, statistics.LoadBalanceLoss.item<float>(), 0.01); // E · (1 · 1 + 1 · 0)
    }

    [Fact]
    public void LoadBalance_TwoLayers_PoolsTheirTokens()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Routed(AnyLayer.Create(Options, 3));
        var hidden = AnyLayer.Draw(new Random(4), 12, 4);
        var parts = new[] { layer.call(hidden.narrow(0, 0, 5)).Statistics, layer.call(hidden.narrow(0, 5, 7)).Statistics };

        var whole = layer.call(hidden).Statistics;

        TensorAssert.Close(whole.LoadBalanceLoss, BalanceLoss.LoadBalance(parts), 1e-6);
        TensorAssert.Close(whole.ZLoss, BalanceLoss.ZLoss(parts), 1e-6);
    }

    [Fact]
    public void Mask_PaddedTokens_CountInNothing()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Routed(AnyLayer.Create(Options, 3));
        var hidden = AnyLayer.Draw(new Random(4), 2, 5, 4);
        var mask = tensor(new[] { true, true, true, false, false, true, true, true, true, true }).reshape(2, 5);

        var masked = layer.forward(hidden, new RoutingCall { TokenMask = mask });
        var unpadded = layer.call(hidden[mask]);

        TensorAssert.Same(unpadded.Statistics.TokensPerExpert, masked.Statistics.TokensPerExpert);
        TensorAssert.Close(unpadded.Statistics.ScoreSum, masked.Statistics.ScoreSum, 1e-6);
        TensorAssert.Close(unpadded.Statistics.LoadBalanceLoss, masked.Statistics.LoadBalanceLoss, 1e-6);
        TensorAssert.Close(unpadded.Statistics.ZLoss, masked.Statistics.ZLoss, 1e-6);
        Assert.Equal(unpadded.Statistics.Load.Entropy, masked.Statistics.Load.Entropy, 1e-6);
        Assert.Equal(8, masked.Statistics.TokenCount);
        TensorAssert.Close(unpadded.Hidden, masked.Hidden[mask], 1e-6);
    }

    [Fact]
    public void Statistics_NoTokenCounts_AreZeroWithAGradient()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Routed(AnyLayer.Create(Options, 3));

        var statistics = layer.forward(ones(3, 4), new RoutingCall { TokenMask = zeros(3, @bool) }).Statistics;
        GuardedBackward.Run(statistics.LoadBalanceLoss + statistics.ZLoss);

        Assert.Equal(0, statistics.LoadBalanceLoss.item<float>());
        Assert.Equal(0, statistics.ZLoss.item<float>());
        Assert.Equal(0, statistics.Load.Entropy);
        TensorAssert.Same(zeros(4, 4), layer.Gate.Weight.grad!);
    }

    [Fact]
    public void LoadBalance_NothingToPoolOrUnlikeLayers_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var four = AnyLayer.Routed(AnyLayer.Create(Options, 3));
        using var two = AnyLayer.Routed(AnyLayer.Create(Options with { Router = new RouterOptions { ExpertCount = 2, TopK = 1 } }, 3));
        var unlike = new[] { four.call(ones(3, 4)).Statistics, two.call(ones(3, 4)).Statistics };

        Assert.StartsWith("There are no statistics", Assert.Throws<ArgumentException>(() => BalanceLoss.ZLoss([])).Message, StringComparison.Ordinal);
        Assert.StartsWith("A layer has 2 experts, the first one 4", Assert.Throws<ArgumentException>(() => BalanceLoss.LoadBalance(unlike)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BalanceScope.Sequence, BalanceScores.Softmax, BalanceCounts.Routed)]
    [InlineData(BalanceScope.Batch, BalanceScores.Router, BalanceCounts.Routed)]
    [InlineData(BalanceScope.Batch, BalanceScores.Softmax, BalanceCounts.TopKOfScores)]
    public void BalanceLoss_SumsThatTheLayerDidNotTake_IsRefused(BalanceScope lossScope, BalanceScores scores, BalanceCounts counts)
    {
        using var scope = NewDisposeScope();
        var loss = new LoadBalanceOptions { Coefficient = 1, Scope = lossScope, Scores = scores, Counts = counts };
        using var without = AnyLayer.Routed(AnyLayer.Create(Options, 3));
        using var with = AnyLayer.Routed(AnyLayer.Create(Options with { LoadBalance = [loss] }, 3));
        var hidden = AnyLayer.Draw(new Random(4), 2, 5, 4);

        var refusal = Assert.Throws<ArgumentException>(() => BalanceLoss.Of(loss, [without.call(hidden).Statistics]));
        var statistics = with.call(hidden).Statistics;

        Assert.StartsWith($"A layer took no sums for a loss of scope {lossScope} with {scores} scores and {counts} counts; add the loss to LoadBalance", refusal.Message, StringComparison.Ordinal);
        TensorAssert.Close(statistics.AuxiliaryLoss, BalanceLoss.Of(loss, [statistics]), 1e-6);
    }

    [Fact]
    public void GlobalLoss_LoadWithoutItsCounts_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Routed(AnyLayer.Create(
            Options with { LoadBalance = [new() { Coefficient = 1, Scope = BalanceScope.Global, Scores = BalanceScores.Router, Counts = BalanceCounts.TopKOfScores }] }, 3));
        var statistics = layer.forward(ones(2, 5, 4), new RoutingCall { StepLoad = RoutingLoad.Of(20, [10, 10, 10, 10]) }).Statistics;

        Assert.StartsWith("The load has no counts of a top-k of scores", Assert.Throws<ArgumentException>(() => statistics.AuxiliaryLoss).Message, StringComparison.Ordinal);
    }

    private static RoutedMoE WithGate(Tensor weight)
    {
        var layer = new RoutedMoE(Options);
        using var _ = no_grad();
        layer.Gate.Weight.copy_(weight);
        return layer;
    }
}
