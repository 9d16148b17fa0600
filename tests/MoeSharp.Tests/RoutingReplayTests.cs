using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

public sealed class RoutingReplayTests
{
    private static readonly MoeOptions Plain = new()
    {
        HiddenSize = 6,
        Router = new RouterOptions { ExpertCount = 5, TopK = 2, Renormalize = Renormalization.Always },
        Experts = new ExpertOptions { IntermediateSize = 4 },
    };

    private static readonly RoutingTraceHeader Header = new("test", [new(3, 5, 2)]);

    public static TheoryData<string, MoeOptions> Layers => new()
    {
        { "top-k", Plain },
        { "sigmoid, no renormalising", Plain with { Router = Plain.Router with { Score = ScoreFunction.Sigmoid, Renormalize = Renormalization.Never, Scale = 2.5 } } },
        { "softmax of the selected", Plain with { Router = Plain.Router with { Weights = WeightSource.SoftmaxOfSelected, HasPerExpertScale = true } } },
        { "capacity of the batch by probability", Plain with { Dispatch = new() { Capacity = new() { Factor = 0.6, Scope = CapacityScope.Batch, Drop = DropRule.Probability } } } },
        { "capacity of a sequence", Plain with { Dispatch = new() { Capacity = new() { Factor = 0.5, Order = CapacityOrder.ChoiceFirst } } } },
        { "expert choice", Plain with { Router = Plain.Router with { Select = new Selection.ExpertChoice(), Renormalize = Renormalization.Never }, Dispatch = new() { Capacity = new() { Factor = 1 } } } },
        { "Sinkhorn", Plain with { Router = Plain.Router with { Select = new Selection.Sinkhorn() } } },
        { "random", Plain with { Router = Plain.Router with { Select = new Selection.Random() } } },
        { "padding without experts", Plain with { MaskScope = MaskScope.All } },
    };

    [Theory]
    [MemberData(nameof(Layers))]
    public void Forward_Replayed_HasTheBitsOfTheRecordedCall(string name, MoeOptions options)
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(options, generator: new Generator(1));
        var hidden = Hidden();
        var others = new RoutingCall { TokenMask = tensor(new[] { true, true, true, true, true, true, true, true, false, false }).view(2, 5) };
        var recorded = layer.forward(hidden, others);
        using var replay = new RoutingReplay(Header, [RoutingTraceEntry.Of(1, 3, recorded.Statistics.Plan, 2, 5)]);

        var replayed = layer.forward(hidden, replay.Call(1, 3, others));

        TensorAssert.Same(recorded.Hidden, replayed.Hidden, name);
        Assert.Equal(recorded.Statistics.Plan.Experts, replayed.Statistics.Plan.Experts);
        Assert.Equal(recorded.Statistics.Plan.Weights, replayed.Statistics.Plan.Weights);
        Assert.Equal(recorded.Statistics.Plan.Slots, replayed.Statistics.Plan.Slots);
    }

    [Fact]
    public void Forward_ReplayedFromAFile_HasTheBitsOfTheRecordedCall()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain, generator: new Generator(1));
        Tensor[] inputs = [Hidden(1), Hidden(2), Hidden(3)];
        var outputs = inputs.Select(layer.call).ToArray();
        string path = folder.File("layer.trace");
        using (var writer = new RoutingTraceWriter(path, Header))
        {
            foreach (var (step, output) in outputs.Index()) writer.Append(RoutingTraceEntry.Of(step / 2, 3, output.Statistics.Plan, 2, 5));
            writer.Complete();
        }

        using var replay = RoutingReplay.Open(path);

        Assert.Equal([0, 1], replay.Steps);
        Assert.Equal((2, 1, 0), (replay.Count(0, 3), replay.Count(1, 3), replay.Count(2, 3)));
        foreach (var (step, input) in inputs.Index().Reverse())
            TensorAssert.Same(outputs[step].Hidden, layer.forward(input, replay.Call(step / 2, 3, entry: step % 2)).Hidden, $"step {step}");
    }

    [Fact]
    public void Plan_ReplayedThroughAnotherRouter_KeepsTheExpertsAndTheGradientsAreThoseOfAForcedPlan()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain, generator: new Generator(1));
        var hidden = Hidden();
        using var replay = new RoutingReplay(Header, [RoutingTraceEntry.Of(1, 3, layer.Plan(hidden).Plan, 2, 5)]);
        using (no_grad()) layer.Gate.Weight.normal_(0, 1, new Generator(9));
        var upstream = randn(10, 2, generator: new Generator(4));

        var call = replay.Call(1, 3);
        var plan = layer.Plan(hidden, call);
        (plan.Weights * upstream).sum().backward();

        // the same in plain operations: the softmax of the new logits, at the old experts
        var weight = layer.Gate.Weight.detach().clone().requires_grad_();
        var chosen = hidden.view(10, 6).matmul(weight.t()).softmax(-1).gather(-1, call.Experts!.view(10, 2));
        var expected = chosen / chosen.sum(-1, keepdim: true);
        (expected * upstream).sum().backward();
        Assert.NotEqual(layer.Plan(hidden).Plan.Experts, plan.Plan.Experts);
        TensorAssert.Same(call.Experts!.view(10, 2), plan.Experts, "experts");
        TensorAssert.Close(expected, plan.Weights, 1e-6, "weights");
        TensorAssert.Close(weight.grad!, layer.Gate.Weight.grad!, 1e-5, "gradient");
    }

    [Fact]
    public void Forward_ReplayedOnTokensInOtherDimensions_FitsTheSameSequences()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain, generator: new Generator(1));
        var hidden = randn(5, 6, generator: new Generator(2));
        var output = layer.call(hidden);
        using var replay = new RoutingReplay(Header, [RoutingTraceEntry.Of(0, 3, output.Statistics.Plan, 1, 5)]);

        TensorAssert.Same(output.Hidden, layer.forward(hidden, replay.Call(0, 3)).Hidden);
        TensorAssert.Same(output.Hidden, layer.forward(hidden.view(1, 1, 5, 6), replay.Call(0, 3)).Hidden.view(5, 6));
    }

    [Fact]
    public void Forward_AReplayWithoutTokens_IsEmpty()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain);
        var output = layer.call(zeros(2, 0, 6));
        using var replay = new RoutingReplay(Header, [RoutingTraceEntry.Of(0, 3, output.Statistics.Plan, 2, 0)]);

        Assert.Equal([2, 0, 6], layer.forward(zeros(2, 0, 6), replay.Call(0, 3)).Hidden.shape);
    }

    [Fact]
    public void Forward_ATraceOfAnotherLayer_IsRefusedWithTheNumbersOfBoth()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain with { Router = Plain.Router with { ExpertCount = 8, TopK = 1 } });
        using var replay = Replay();

        var error = Assert.Throws<MoeException>(() => layer.forward(Hidden(), replay.Call(1, 3)));

        Assert.Equal(
            "Layer 3 of the trace of 'test' has 5 experts and a TopK of 2; this layer has 8 experts and a TopK of 1. Replay a trace through the model that it was recorded from.", error.Message);
    }

    [Theory]
    [InlineData(5, 2)]
    [InlineData(1, 10)]
    [InlineData(2, 4)]
    public void Forward_OtherTokensThanRecorded_IsRefusedWithTheNumbersOfBoth(int sequences, int length)
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain);
        using var replay = Replay();

        var error = Assert.Throws<MoeException>(() => layer.forward(zeros(sequences, length, 6), replay.Call(1, 3)));

        Assert.Equal($"Step 1 of layer 3 in the trace of 'test' has 2 sequences of 5 tokens; the hidden states have {sequences} of {length}. Give the tokens that were recorded.", error.Message);
    }

    [Fact]
    public void Forward_ReplayedExpertsThatWereReplaced_AreCheckedAsGivenOnes()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain);
        using var replay = Replay();

        var error = Assert.Throws<ArgumentException>(() => layer.forward(Hidden(), replay.Call(1, 3) with { Experts = zeros(3, 2, ScalarType.Int64) }));

        Assert.StartsWith("The given experts are Int64 [3, 2]; expected Int64 [2, 5, -1]", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 3, 1, "There is no entry 1 of step 1 and layer 3 in the trace of 'test': it has 1 of that step and layer, counted from 0.")]
    [InlineData(1, 3, -1, "There is no entry -1 of step 1 and layer 3 in the trace of 'test': it has 1 of that step and layer, counted from 0.")]
    [InlineData(9, 3, 0, "There is no entry 0 of step 9 and layer 3 in the trace of 'test': its steps are between 1 and 1.")]
    [InlineData(1, 0, 0, "There is no entry 0 of step 1 and layer 0 in the trace of 'test': it records the layers 3.")]
    public void Call_WhatTheTraceLacks_SaysWhatItHas(long step, int layer, int entry, string message)
    {
        using var scope = NewDisposeScope();
        using var replay = Replay();

        Assert.Equal(message, Assert.Throws<MoeException>(() => replay.Call(step, layer, entry: entry)).Message);
    }

    [Fact]
    public void Call_OtherExpertsBesides_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var replay = Replay();

        var error = Assert.Throws<ArgumentException>(() => replay.Call(1, 3, new() { Experts = zeros(2, 5, 2, ScalarType.Int64) }));

        Assert.StartsWith("The other parts of the call have experts too", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Replay_EntriesThatDoNotFitTheHeader_AreRefused()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Plain, generator: new Generator(1));
        var entry = RoutingTraceEntry.Of(1, 3, layer.Plan(Hidden()).Plan, 2, 5);

        var other = Assert.Throws<ArgumentException>(() => new RoutingReplay(new("test", [new(0, 5, 2)]), [entry]));
        var smaller = Assert.Throws<ArgumentException>(() => new RoutingReplay(new("test", [new(3, 1, 1)]), [entry]));

        Assert.StartsWith("Entry 0 cannot be replayed. It is of layer 3; the header lists 0.", other.Message, StringComparison.Ordinal);
        Assert.Matches(@"^Entry 0 cannot be replayed\. Token 0 has expert \d; expected -1\.\.0, because layer 3 has 1 experts\.", smaller.Message);
    }

    private static Tensor Hidden(ulong seed = 2) => randn(2, 5, 6, generator: new Generator(seed));

    private static RoutingReplay Replay()
    {
        using var layer = new RoutedMoE(Plain);
        return new(Header, [RoutingTraceEntry.Of(1, 3, layer.Plan(Hidden()).Plan, 2, 5)]);
    }
}
