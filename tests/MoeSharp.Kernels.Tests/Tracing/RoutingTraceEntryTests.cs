namespace MoeSharp.Kernels.Tests;

public sealed class RoutingTraceEntryTests
{
    // what experts 0, 1 and 2 say of four tokens: all choose expert 0 first, then 1
    private static readonly float[] Logits = [3, 2, 1, 4, 2, 1, 5, 2, 1, 6, 2, 1];

    [Fact]
    public void Of_APlan_SharesItsExpertsAndWeights()
    {
        var plan = Route(Options());

        var entry = RoutingTraceEntry.Of(7, 3, plan, 2, 2);

        Assert.Equal((7, 3, 2, 2, 2), (entry.Step, entry.Layer, entry.Sequences, entry.SequenceLength, entry.Width));
        Assert.Equal([0, 1, 0, 1, 0, 1, 0, 1], entry.Experts.ToArray());
        Assert.True(entry.Weights.Equals(new ReadOnlyMemory<float>(plan.Weights)));
        Assert.True(entry.Dropped.IsEmpty);
    }

    [Fact]
    public void Of_APlanWithACapacity_MarksWhatWasDroppedAndKeepsItsExpert()
    {
        var entry = RoutingTraceEntry.Of(0, 0, Route(Options() with { Dispatch = new() { Capacity = new() { Factor = 0.75, Scope = CapacityScope.Batch } } }), 2, 2);

        Assert.Equal([0, 1, 0, 1, 0, 1, 0, 1], entry.Experts.ToArray());
        Assert.Equal([false, false, false, false, true, true, true, true], entry.Dropped.ToArray());
    }

    [Fact]
    public void Of_Padding_HasNoExpertAndIsNotDropped()
    {
        var options = Options() with { MaskScope = MaskScope.All, Dispatch = new() { Capacity = new() { Factor = 0.75, Scope = CapacityScope.Batch } } };

        var entry = RoutingTraceEntry.Of(0, 0, Route(options, [true, false, true, false]), 2, 2);

        Assert.Equal([0, 1, -1, -1, 0, 1, -1, -1], entry.Experts.ToArray());
        Assert.True(entry.Dropped.IsEmpty);
    }

    [Fact]
    public void Of_APlanWithoutAnySlot_HasOneThatIsFree()
    {
        var options = Options();
        options = options with { Router = options.Router with { Select = new Selection.ExpertChoice() }, Dispatch = new() { Capacity = new() { Factor = 1, Scope = CapacityScope.Batch } }, MaskScope = MaskScope.All };

        var entry = RoutingTraceEntry.Of(0, 0, Route(options, [false, false, false, false]), 2, 2);

        Assert.Equal(1, entry.Width);
        Assert.Equal([-1, -1, -1, -1], entry.Experts.ToArray());
        Assert.Equal([0, 0, 0, 0], entry.Weights.ToArray());
    }

    [Fact]
    public void Of_AnotherShape_SaysBoth()
    {
        var plan = Route(Options());

        var error = Assert.Throws<ArgumentException>(() => RoutingTraceEntry.Of(0, 0, plan, 3, 2));

        Assert.StartsWith("The plan has 4 tokens; expected 3 sequences of 2. Give the shape of the call that was routed.", error.Message, StringComparison.Ordinal);
    }

    private static MoeOptions Options() => new()
    {
        HiddenSize = 4,
        Router = new() { ExpertCount = 3, TopK = 2 },
        Experts = new() { IntermediateSize = 4 },
    };

    private static RoutingPlan Route(MoeOptions options, bool[]? mask = null) =>
        new RoutingKernel(options).Route(new() { Logits = Logits, Sequences = 2, SequenceLength = 2, Mask = mask });
}
