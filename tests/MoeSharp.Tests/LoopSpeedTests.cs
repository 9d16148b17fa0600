using System.Diagnostics;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Tests;

/// <summary>
/// The loop backend against the loop that one writes by hand in TorchSharp, in turn, on the same parameters. Explicit, because it
/// measures: run it with <c>-explicit only</c>.
/// </summary>
public sealed class LoopSpeedTests(ITestOutputHelper output)
{
    [Theory(Explicit = true)]
    [InlineData(4096, 256, 384, 8, 2)]
    [InlineData(512, 1024, 1024, 16, 2)]
    [InlineData(1024, 256, 128, 64, 8)]
    public void LoopExperts_AgainstTheLoopByHand_IsAtLeastAsFast(int tokens, int hiddenSize, int intermediateSize, int expertCount, int topK)
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(new MoeOptions
        {
            HiddenSize = hiddenSize,
            Router = new RouterOptions { ExpertCount = expertCount, TopK = topK, Renormalize = Renormalization.Always },
            Experts = new ExpertOptions { IntermediateSize = intermediateSize },
            Backend = ExpertBackend.Loop,
        });
        var hidden = randn(tokens, hiddenSize).requires_grad_();
        TensorAssert.Close(ByHand(layer, hidden, topK), layer.call(hidden).Hidden, 1e-5);

        double forward = MedianRatio(() => { using var _ = no_grad(); layer.call(hidden); }, () => { using var _ = no_grad(); ByHand(layer, hidden, topK); });
        double both = MedianRatio(() => Backward(layer, hidden, layer.call(hidden).Hidden), () => Backward(layer, hidden, ByHand(layer, hidden, topK)));

        output.WriteLine($"T={tokens} D={hiddenSize} H={intermediateSize} E={expertCount} K={topK}: ours / by hand: forward {forward:f3}, forward and backward {both:f3}");
        Assert.True(forward <= 1, $"forward takes {forward:f3} of the time by hand");
        Assert.True(both <= 1, $"forward and backward take {both:f3} of the time by hand");
    }

    private static void Backward(RoutedMoE layer, Tensor hidden, Tensor result)
    {
        layer.zero_grad();
        hidden.grad = null;
        result.sum().backward();
    }

    private static Tensor ByHand(RoutedMoE layer, Tensor hidden, int topK)
    {
        using var scope = NewDisposeScope();
        var (gate, up, down) = (layer.Experts.Gate, layer.Experts.Up, layer.Experts.Down);
        var scores = functional.linear(hidden, layer.Gate.Weight).softmax(-1);
        var (weights, experts) = scores.topk(topK, -1);
        weights = weights / weights.sum(-1, keepdim: true);

        var result = zeros_like(hidden);
        for (int e = 0; e < gate.size(0); e++)
        {
            var hits = (experts == e).nonzero();
            if (hits.size(0) == 0) continue;
            var (token, slot) = (hits.select(1, 0), hits.select(1, 1));
            var rows = hidden.index_select(0, token);
            var inner = functional.silu(functional.linear(rows, gate[e])) * functional.linear(rows, up[e]);
            var outputs = functional.linear(inner, down[e]) * weights[token, slot].unsqueeze(-1);
            result = result.index_add(0, token, outputs, 1);
        }

        return result.MoveToOuterDisposeScope();
    }

    // in turn, so that whatever else the machine does meets both; the median of the ratios of neighbours
    private static double MedianRatio(Action ours, Action theirs)
    {
        const int Warmup = 2, Rounds = 11;
        for (int round = 0; round < Warmup; round++) _ = Time(ours) + Time(theirs);

        double[] ratios = [.. Enumerable.Range(0, Rounds).Select(_ => Time(ours) / Time(theirs))];
        return ratios.Order().ElementAt(Rounds / 2);
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        using (NewDisposeScope()) action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
