using CsCheck;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>Capacities and receive buffers in whole layers: every backend computes what the masks say.</summary>
public sealed class DispatchTests
{
    [Fact]
    public void Backends_AnyRouting_GiveTheSameOutputsAndGradients() => AnyRouting.Cases.Where(sample => sample.Options.Router.Select is not Selection.SparseMixer || !sample.IsTraining).ForEach(200, sample =>
    {
        using var scope = NewDisposeScope();
        var loop = Run(sample, ExpertBackend.Loop, pads: false);
        var dense = Run(sample, ExpertBackend.Dense, pads: false);
        var fused = Run(sample, ExpertBackend.Fused, pads: false);
        var grouped = Run(sample, ExpertBackend.Grouped, pads: false);
        foreach (var name in loop.Keys)
        {
            TensorAssert.Close(dense[name], loop[name], 2e-5, name, scale: 0.5);
            TensorAssert.Close(dense[name], fused[name], 2e-5, name, scale: 0.5);
            TensorAssert.Close(dense[name], grouped[name], 2e-5, name, scale: 0.5);
        }

        if (sample.Options.Dispatch.Capacity is null) return;

        var padded = Run(sample, ExpertBackend.Auto, pads: true);
        foreach (var name in loop.Keys) TensorAssert.Close(dense[name], padded[name], 2e-5, name, scale: 0.5);
    });

    [Fact]
    public void Masks_AnyCapacity_DispatchAndCombineAsTheLayer() => AnyRouting.Cases.Where(sample => sample.Options.Dispatch.Capacity is not null && sample.Tokens > 0 && !sample.IsTraining).ForEach(100, sample =>
    {
        using var scope = NewDisposeScope();
        using var layer = Layer(sample, ExpertBackend.Loop, pads: false);
        var call = Call(sample);
        var hidden = AnyLayer.Draw(new Random(sample.Seed), sample.Sequences, sample.Length, Size);

        var plan = layer.Plan(hidden, call);
        var (dispatch, combine) = DispatchMasks.Of(plan, sample.Sequences);

        long scopes = sample.Options.Dispatch.Capacity!.Scope == CapacityScope.Batch ? 1 : sample.Sequences;
        Assert.True(dispatch.view(scopes, sample.Tokens / scopes, plan.Counts.Count, plan.Plan.SlotsPerExpert).sum(1L).le(1).all().item<bool>(), "a slot holds at most one token");
        var (weights, isChosen) = plan.Dense();
        TensorAssert.Same(isChosen, dispatch.sum(-1).flatten(0, 1), "dispatch");
        TensorAssert.Same(weights, combine.sum(-1).flatten(0, 1), "combine");
        Assert.Equal(plan.Order.size(0), dispatch.sum().item<float>());
    });

    [Fact]
    public void Capacity_OfZeroSlots_LetsEveryTokenPassWithNothing()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options with { Dispatch = new() { Capacity = new() { Slots = 0 } } });

        var output = layer.call(ones(2, 3, 4));

        TensorAssert.Same(zeros(2, 3, 4), output.Hidden);
        Assert.Equal(1, output.Statistics.Load.DroppedShare);
        Assert.Equal(12, output.Statistics.Load.Routed.Sum());
    }

    [Theory]
    [InlineData(CapacityOrder.TokenFirst, new[] { 0, 1, -1, -1 })]
    [InlineData(CapacityOrder.ChoiceFirst, new[] { 0, 1, -1, -1 })]
    [InlineData(CapacityOrder.PriorityFirst, new[] { -1, -1, 1, 0 })]
    public void Capacity_AllTokensOnOneExpert_KeepsWhoComesFirst(CapacityOrder order, int[] expected)
    {
        var kernel = new RoutingKernel(Options with
        {
            Router = new() { ExpertCount = 2, TopK = 2 },
            Dispatch = new() { Capacity = new() { Slots = 2, Order = order } },
        });

        var plan = kernel.Route(new RoutingInput { Logits = [1, 0, 2, 0, 3, 0, 4, 0], Sequences = 1, SequenceLength = 4 });

        Assert.Equal(expected, Enumerable.Range(0, 4).Select(token => plan.Slots![token * 2]));
        Assert.Equal(expected, Enumerable.Range(0, 4).Select(token => plan.Slots![(token * 2) + 1]));
    }

    [Fact]
    public void Layout_ThatCannotBeCut_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var parts = new RoutedMoE(Options with { Dispatch = new() { Capacity = new() { Factor = 1, Subsequences = 2 } } });
        using var shards = new RoutedMoE(Options with { Dispatch = new() { RaggedBuffer = new(2, 1) } });

        Assert.StartsWith("Sequences of 3 tokens cannot be cut into 2", Assert.Throws<ArgumentException>(() => parts.call(ones(1, 3, 4))).Message, StringComparison.Ordinal);
        Assert.StartsWith("3 sequences do not lie evenly on 2 shards", Assert.Throws<ArgumentException>(() => shards.call(ones(3, 1, 4))).Message, StringComparison.Ordinal);
    }

    private const int Size = 3;

    private static readonly MoeOptions Options = new() { HiddenSize = 4, Router = new() { ExpertCount = 4, TopK = 2 }, Experts = new() { IntermediateSize = 3 } };

    private static RoutedMoE Layer(AnyRouting.Case sample, ExpertBackend backend, bool pads)
    {
        var options = sample.Options;
        var capacity = options.Dispatch.Capacity;
        var layer = (RoutedMoE)AnyLayer.Create(
            options with
            {
                HiddenSize = Size,
                Experts = new() { IntermediateSize = 4 },
                Backend = backend,
                Dispatch = capacity is null ? options.Dispatch : new() { Capacity = capacity with { Pad = pads } },
            },
            sample.Seed);
        if (layer.TokenTable is { } table) table.copy_(arange(table.numel()).remainder(options.Router.ExpertCount).view_as(table));
        layer.train(sample.IsTraining);
        return layer;
    }

    private static RoutingCall Call(AnyRouting.Case sample)
    {
        var (random, router) = (new Random(sample.Seed + 7), sample.Options.Router);
        long[] shape = [sample.Sequences, sample.Length];
        return new RoutingCall
        {
            Step = sample.Seed,
            TokenMask = sample.IsMasked ? tensor(Enumerable.Range(0, sample.Tokens).Select(_ => random.Next(3) > 0).ToArray(), shape) : null,
            TokenIds = tensor(Enumerable.Range(0, sample.Tokens).Select(_ => (long)random.Next(11)).ToArray(), shape),
            Experts = router.Select is Selection.Forced ? arange(sample.Tokens * router.TopK).remainder(router.ExpertCount).view([.. shape, router.TopK]) : null,
        };
    }

    private static Dictionary<string, Tensor> Run(AnyRouting.Case sample, ExpertBackend backend, bool pads)
    {
        using var layer = Layer(sample, backend, pads);
        var random = new Random(sample.Seed);
        var hidden = AnyLayer.Draw(random, sample.Sequences, sample.Length, Size).requires_grad_();

        var output = layer.forward(hidden, Call(sample)).Hidden;
        GuardedBackward.Run((output * AnyLayer.Draw(random, output.shape)).sum());

        var results = AnyLayer.Parameters(layer).ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        results["output"] = output;
        results["hidden"] = hidden.grad!;
        return results;
    }
}
