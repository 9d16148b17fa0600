using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class RoutingTraceComparisonTests
{
    private static readonly RoutingTraceHeader Header = TraceSamples.SmallHeader;

    [Fact]
    public void Comparison_OfATraceWithItself_IsEqual() => TraceSamples.Traces.Holds(60, trace =>
    {
        var comparison = RoutingTraceComparison.Of(trace.Header, trace.Entries, trace.Header, trace.Entries);

        return comparison.AreEqual && comparison.Entries == trace.Entries.Length && comparison.Tokens == trace.Entries.Sum(entry => entry.Tokens)
            && (comparison.TokensWithOtherExperts, comparison.WeightsThatDiffer, comparison.LargestWeightDifference, comparison.DroppedInOneOnly) == (0, 0, 0, 0);
    });

    [Fact]
    public void Comparison_AnotherOrderOfEntriesAndSlots_IsEqual()
    {
        var turned = TraceSamples.Entry(0, 0, 2, [1, 0, 0, 2, 3, 0], [0.25f, 0.75f, 0.5f, 0.5f, 0.375f, 0.625f]);

        var comparison = Compare(TraceSamples.SmallEntries, [TraceSamples.SmallEntries[2], TraceSamples.SmallEntries[1], turned]);

        Assert.True(comparison.AreEqual, string.Join("; ", comparison.Mismatches));
        Assert.Equal((3, 9), (comparison.Entries, comparison.Tokens));
    }

    [Fact]
    public void Comparison_AnyTwoOfOneShape_CountsAsAPlainLoop()
    {
        var random = new Random(7);
        for (int draw = 0; draw < 50; draw++)
        {
            var (first, second) = (Draw(random), Draw(random));

            var comparison = Compare([first], [second]);

            AssertPlain(first, second, comparison);
        }
    }

    [Fact]
    public void Comparison_SeveralDifferences_NamesTheFirstByStepLayerEntryAndToken()
    {
        var common = TraceSamples.Entry(1, 0, 1, [3], [1]);
        var early = TraceSamples.Entry(1, 0, 1, [0, 1], [1, 0.5f]);
        var otherEarly = TraceSamples.Entry(1, 0, 1, [0, 2], [1, 0.5f], [false, true]);
        var (late, otherLate) = (TraceSamples.Entry(2, 0, 1, [0], [1]), TraceSamples.Entry(2, 0, 1, [1], [1]));

        var comparison = Compare([late, common, early], [otherLate, common, otherEarly]);

        var first = comparison.First;
        Assert.Equal((1, 0, 1, 1), (first?.Step, first?.Layer, first?.Entry, first?.Token));
        Assert.Equal((1, 2, true), (first?.First.Experts.Single(), first?.Second.Experts.Single(), first?.Second.Dropped.Single()));
        Assert.Equal((2, false), (comparison.TokensWithOtherExperts, comparison.AreEqual));
    }

    [Fact]
    public void Comparison_WeightThatIsNoNumberOnOneSide_IsInfinitelyFar()
    {
        var comparison = Compare([TraceSamples.Entry(0, 0, 1, [0, 1], [float.NaN, float.NaN])], [TraceSamples.Entry(0, 0, 1, [0, 1], [float.NaN, 1])]);

        Assert.Equal((1, double.PositiveInfinity, 1), (comparison.WeightsThatDiffer, comparison.LargestWeightDifference, comparison.First?.Token));
    }

    [Fact]
    public void Comparison_OtherShapesEntriesAndLayers_AreListed()
    {
        RoutingTraceHeader other = new("other", [new(0, 5, 2), new(9, 3, 1)]);
        var mine = new[] { TraceSamples.Entry(0, 0, 1, [0, 1], [1, 1]), TraceSamples.Entry(4, 0, 1, [0], [1]), TraceSamples.Entry(4, 0, 1, [0], [1]) };
        var theirs = new[] { TraceSamples.Entry(0, 0, 2, [0, 1], [1, 1]), TraceSamples.Entry(4, 0, 1, [0], [1]), TraceSamples.Entry(0, 9, 1, [0], [1]) };

        var comparison = RoutingTraceComparison.Of(Header, mine, other, theirs);

        Assert.Equal(
        [
            "layer 0 chooses 2 of 4 experts in the first trace, 2 of 5 in the second",
            "layer 2 is in the first trace only",
            "layer 9 is in the second trace only",
            "step 0, layer 0 has the shape 1 × 2 × 1 in the first trace, 1 × 1 × 2 in the second",
            "step 4, layer 0, entry 1 is in the first trace only",
            "step 0, layer 9 is in the second trace only",
        ], comparison.Mismatches);
        Assert.Equal((6, 1, false), (comparison.MismatchCount, comparison.Entries, comparison.AreEqual));
    }

    [Fact]
    public void Comparison_WithAnEmptyTrace_ListsAHundredAndCountsAll()
    {
        var entries = Enumerable.Range(0, 130).Select(step => TraceSamples.Entry(step, 0, 1, [0], [1]));

        var comparison = Compare([.. entries], []);

        Assert.Equal((100, 130), (comparison.Mismatches.Count, comparison.MismatchCount));
    }

    private static RoutingTraceComparison Compare(RoutingTraceEntry[] first, RoutingTraceEntry[] second) => RoutingTraceComparison.Of(Header, first, Header, second);

    // experts of a token are distinct, as routers choose them; weights are few, so that some are equal
    private static RoutingTraceEntry Draw(Random random)
    {
        int[] experts = [.. Enumerable.Range(0, 20).SelectMany(_ => Distinct(random))];
        float[] weights = [.. experts.Select(_ => random.Next(3) / 4f)];
        bool[] dropped = [.. experts.Select(_ => random.Next(4) == 0)];

        return TraceSamples.Entry(0, 0, 2, experts, weights, dropped);
    }

    private static int[] Distinct(Random random)
    {
        int[] experts = [-1, 0, 1, 2, 3];
        random.Shuffle(experts);
        return experts[..2];
    }

    private static void AssertPlain(RoutingTraceEntry first, RoutingTraceEntry second, RoutingTraceComparison comparison)
    {
        var (others, shared, weights, dropped, largest) = (0, 0, 0, 0, 0.0);
        for (int token = 0; token < first.Tokens; token++)
        {
            var (mine, theirs) = (Choices(first, token), Choices(second, token));
            if (!mine.Keys.Order().SequenceEqual(theirs.Keys.Order())) others++;
            foreach (int expert in mine.Keys.Intersect(theirs.Keys))
            {
                shared++;
                if (mine[expert].Weight != theirs[expert].Weight) weights++;
                if (mine[expert].Dropped != theirs[expert].Dropped) dropped++;
                largest = Math.Max(largest, Math.Abs(mine[expert].Weight - theirs[expert].Weight));
            }
        }

        Assert.Equal((others, shared, weights, dropped), (comparison.TokensWithOtherExperts, comparison.SharedChoices, comparison.WeightsThatDiffer, comparison.DroppedInOneOnly));
        Assert.Equal(largest, comparison.LargestWeightDifference, 9);
    }

    private static Dictionary<int, (float Weight, bool Dropped)> Choices(RoutingTraceEntry entry, int token)
    {
        var choices = new Dictionary<int, (float, bool)>();
        for (int slot = 0; slot < entry.Width; slot++)
        {
            if (entry.ExpertsOf(token)[slot] != -1) choices.Add(entry.ExpertsOf(token)[slot], (entry.WeightsOf(token)[slot], entry.IsDropped(token, slot)));
        }

        return choices;
    }
}
