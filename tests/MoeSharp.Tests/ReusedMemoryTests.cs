using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>Memory that serves one tensor after the other: never two at once.</summary>
public sealed class ReusedMemoryTests
{
    private const int Values = 5_000_011;       // of no other test

    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 520,
        Router = new() { ExpertCount = 3, TopK = 2 },
        Experts = new() { IntermediateSize = 480 },
        Backend = ExpertBackend.Fused,
    };

    [Fact]
    public void Empty_LargeTensors_TakesTheMemoryOfOneThatIsGone()
    {
        using var scope = NewDisposeScope();
        var first = ReusedMemory.Empty([Values]);
        nint start = Start(first);
        var view = first.view(-1);
        first.Dispose();

        var second = ReusedMemory.Empty([Values]);
        Assert.NotEqual(start, Start(second));      // somebody still looks at it

        view.Dispose();
        var third = ReusedMemory.Empty([1, Values - 100_000]);

        Assert.Equal(start, Start(third));
        Assert.Equal([1, Values - 100_000], third.shape);
        Assert.Equal(float32, third.dtype);
    }

    [Fact]
    public void Empty_AllAtOnce_GivesEachMemoryOfItsOwn()
    {
        using var scope = NewDisposeScope();
        var tensors = new Tensor[8];

        Parallel.For(0, 8 * tensors.Length, i =>
        {
            using var tensor = ReusedMemory.Empty([600_000]).fill_(i);
            Assert.Equal(600_000d * i, tensor.to(float64).sum().item<double>());
        });
        for (int i = 0; i < tensors.Length; i++) tensors[i] = ReusedMemory.Empty([600_000]);

        Assert.Equal(tensors.Length, tensors.Select(Start).Distinct().Count());
    }

    [Fact]
    public void Trim_WhatIsIdle_IsFreedAndWhatIsUsedIsNot()
    {
        using var scope = NewDisposeScope();
        var used = ReusedMemory.Empty([Values]).fill_(3);
        ReusedMemory.Empty([Values]).Dispose();
        Assert.True(ReusedMemory.IdleBytes >= 4L * Values);

        ReusedMemory.Trim(Environment.TickCount64 - 60_000);
        Assert.True(ReusedMemory.IdleBytes >= 4L * Values);

        ReusedMemory.Trim(Environment.TickCount64);
        Assert.Equal(0, ReusedMemory.IdleBytes);
        Assert.Equal(3f * Values, used.to(float64).sum().item<double>(), 0.0);
    }

    [Fact]
    public void Backward_StepAfterStep_GivesGradientsThatWereNotCopiedOnTheSameMemory()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        Step(layer, seed: 1);
        var before = Gradients();
        layer.zero_grad();
        using (var next = ReusedMemory.Empty([3, 480, 520])) Assert.Contains(Start(next), before);       // a copy would have left it its own

        Step(layer, seed: 2);

        Assert.Equal(before, Gradients());

        nint[] Gradients()
        {
            using var own = NewDisposeScope();
            return [.. new[] { layer.Experts.Gate, layer.Experts.Up, layer.Experts.Down }.Select(matrix => Start(matrix.grad!)).Order()];
        }
    }

    [Fact]
    public void Backward_WhoKeepsAGradient_KeepsItsValues()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        Step(layer, seed: 1);
        var kept = layer.Experts.Gate.grad!.alias();
        var values = kept.clone();
        layer.zero_grad();

        for (int seed = 2; seed < 5; seed++) Step(layer, seed);

        TensorAssert.Same(values, kept, "the gradient of the first step");
        Assert.NotEqual(Start(kept), Start(layer.Experts.Gate.grad!));
    }

    [Fact]
    public void Backward_Accumulating_GivesTheSumOfTheSteps()
    {
        using var scope = NewDisposeScope();
        using var together = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var alone = (RoutedMoE)AnyLayer.Create(Options, 3);
        Step(together, seed: 1);
        Step(together, seed: 2);

        Step(alone, seed: 1);
        var sum = alone.Experts.Down.grad!.clone();
        alone.zero_grad();
        Step(alone, seed: 2);

        TensorAssert.Same(sum + alone.Experts.Down.grad!, together.Experts.Down.grad!, "down");
    }

    private static void Step(RoutedMoE layer, int seed)
    {
        using var scope = NewDisposeScope();
        GuardedBackward.Run(layer.call(AnyLayer.Draw(new Random(seed), 40, Options.HiddenSize)).Hidden.square().sum());
    }

    private static nint Start(Tensor tensor) => Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetReference(tensor.bytes));
}
