using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class RoutingTraceStatisticsTests
{
    [Fact]
    public void Statistics_OfASmallTrace_AreThoseDoneByHand()
    {
        var statistics = RoutingTraceStatistics.Of(TraceSamples.SmallHeader, TraceSamples.SmallEntries);

        var first = statistics[0];
        Assert.Equal((2, 6, 11, 1), (first.Entries, first.Tokens, first.Choices, first.Dropped));
        Assert.Equal([5, 4, 1, 1], first.Load);
        Assert.Equal(5 / 2.75, first.LargestOverMean, 12);
        Assert.Equal(1 / 11.0, first.DroppedShare, 12);
        Assert.Equal((0.75 + 0.5 + 0.625 + 0.75 + 1 + 0.5) / 6, first.FirstChoiceWeight, 12);
        Assert.Equal((0, 1), (first.DeadExperts, statistics[1].DeadExperts));
    }

    [Fact]
    public void Statistics_OfALayerWithoutEntries_AreNoNumbers()
    {
        var statistics = Assert.Single(RoutingTraceStatistics.Of(new("test", [new(0, 4, 2)]), []));

        Assert.Equal((0, 4), (statistics.Tokens, statistics.DeadExperts));
        Assert.All([statistics.LargestOverMean, statistics.LoadVariation, statistics.DroppedShare, statistics.FirstChoiceWeight, statistics.LoadEntropy], value => Assert.Equal(double.NaN, value));
    }

    [Fact]
    public void Statistics_EvenLoad_HasTheEntropyOfAllExperts()
    {
        var statistics = Assert.Single(RoutingTraceStatistics.Of(new("test", [new(0, 4, 1)]), [TraceSamples.Entry(0, 0, 1, [0, 1, 2, 3], [1, 1, 1, 1])]));

        Assert.Equal((1, 0), (statistics.LargestOverMean, statistics.LoadVariation));
        Assert.Equal(Math.Log(4), statistics.LoadEntropy, 12);
    }

    [Fact]
    public void Statistics_EntryOfAnotherLayer_IsRefused() =>
        Assert.Throws<ArgumentException>(() => RoutingTraceStatistics.Of(new("test", []), TraceSamples.SmallEntries));

    [Fact]
    public void Statistics_AnyTrace_AreThoseOfAPlainLoop() => TraceSamples.Traces.ForEach(60, trace =>
    {
        var statistics = RoutingTraceStatistics.Of(trace.Header, trace.Entries);

        foreach (var layer in statistics.Where(layer => layer.Layer.ExpertCount < 300)) AssertPlain(layer, [.. trace.Entries.Where(entry => entry.Layer == layer.Layer.Layer)]);
    });

    private static void AssertPlain(RoutingTraceStatistics layer, RoutingTraceEntry[] entries)
    {
        var load = new long[layer.Layer.ExpertCount];
        long dropped = 0;
        var firstWeights = new List<double>();
        foreach (var entry in entries)
        {
            for (int token = 0; token < entry.Tokens; token++)
            {
                bool isFirst = true;
                for (int slot = 0; slot < entry.Width; slot++)
                {
                    int at = token * entry.Width + slot;
                    if (entry.Experts.Span[at] == -1) continue;

                    load[entry.Experts.Span[at]]++;
                    if (isFirst) firstWeights.Add(entry.Weights.Span[at]);
                    if (!entry.Dropped.IsEmpty && entry.Dropped.Span[at]) dropped++;
                    isFirst = false;
                }
            }
        }

        double all = load.Sum();
        double mean = all / load.Length;
        Assert.Equal(load, layer.Load);
        Assert.Equal((entries.Length, entries.Sum(entry => entry.Tokens), dropped), (layer.Entries, layer.Tokens, layer.Dropped));
        Assert.Equal(firstWeights.DefaultIfEmpty(double.NaN).Average(), layer.FirstChoiceWeight, 9);
        if (all == 0) return;

        Assert.Equal(load.Max() / mean, layer.LargestOverMean, 9);
        Assert.Equal(Math.Sqrt(load.Select(count => Math.Pow(count - mean, 2)).Average()) / mean, layer.LoadVariation, 9);
        Assert.Equal(load.Sum(count => count == 0 ? 0 : -(count / all) * Math.Log(count / all)), layer.LoadEntropy, 9);
    }
}
