using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>Packed weights that a layer keeps between calls without gradient: never seen in its numbers.</summary>
public sealed class KeptWeightsTests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 40,
        Router = new() { ExpertCount = 9, TopK = 2 },
        Experts = new() { IntermediateSize = 50, HasBias = true },
        Backend = ExpertBackend.Fused,
    };

    [Fact]
    public void Forward_ManyTimes_GivesTheBitsOfALayerThatKeepsNothing()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = AnyLayer.Create(Options, 3);
        using var plain = AnyLayer.Create(Options with { KeepsPackedWeights = false }, 3);
        for (int call = 0; call < 8; call++)
        {
            var hidden = AnyLayer.Draw(new Random(call), 1 + 5 * (call % 3), 40);       // other experts at every call

            TensorAssert.Same(plain.call(hidden).Hidden, layer.call(hidden).Hidden, $"call {call}");
        }
    }

    [Fact]
    public void Forward_ParametersMadeInInferenceMode_WhoseChangesNobodyCounts_ComputesWithThem()
    {
        using var scope = NewDisposeScope();
        using var mode = inference_mode();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var plain = (RoutedMoE)AnyLayer.Create(Options with { KeepsPackedWeights = false }, 3);
        var hidden = AnyLayer.Draw(new Random(1), 30, 40);
        for (int call = 0; call < 3; call++)
        {
            TensorAssert.Same(plain.call(hidden).Hidden, layer.call(hidden).Hidden, $"call {call}");
            foreach (var changed in new[] { layer, plain }) changed.Experts.Up[8, 3, 5] = call;
        }
    }

    public static TheoryData<string, Action<Tensor>> Changes => new()
    {
        { "in place", values => values.mul_(-2) },
        { "one value in place", values => values[8, 3, 5] = 100 },
        { "through memory, as a state dictionary is read", values => { foreach (ref float value in MemoryMarshal.Cast<byte, float>(values.bytes)) value += 1; } },
    };

    [Theory]
    [MemberData(nameof(Changes), DisableDiscoveryEnumeration = true)]
    public void Forward_AfterAChangeOfTheParameters_ComputesWithTheNewOnes(string how, Action<Tensor> change)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var plain = (RoutedMoE)AnyLayer.Create(Options with { KeepsPackedWeights = false }, 3);
        var hidden = AnyLayer.Draw(new Random(1), 30, 40);
        foreach (var weights in new Func<RoutedMoE, Tensor>[] { layer => layer.Experts.Gate, layer => layer.Experts.Up, layer => layer.Experts.Down })
        {
            for (int call = 0; call < 3; call++) layer.call(hidden);

            foreach (var changed in new[] { layer, plain }) change(weights(changed));

            for (int call = 0; call < 3; call++) TensorAssert.Same(plain.call(hidden).Hidden, layer.call(hidden).Hidden, how);
        }
    }

    [Fact]
    public void Forward_BetweenTrainingSteps_ComputesWithTheNewParameters()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var plain = (RoutedMoE)AnyLayer.Create(Options with { KeepsPackedWeights = false }, 3);
        var hidden = AnyLayer.Draw(new Random(1), 30, 40);
        for (int step = 0; step < 3; step++)
        {
            foreach (var trained in new[] { layer, plain })
            {
                GuardedBackward.Run(trained.call(hidden).Hidden.square().sum());
                using var still = no_grad();
                foreach (var parameter in trained.parameters())
                {
                    if (parameter.grad is { } gradient) parameter.sub_(gradient * 1e-5);
                }

                trained.zero_grad();
            }

            using var _ = no_grad();
            for (int call = 0; call < 3; call++) TensorAssert.Same(plain.call(hidden).Hidden, layer.call(hidden).Hidden, $"step {step}");
        }
    }

    [Fact]
    public void Forward_ParametersOfBfloat16OnTokensOfBfloat16_MultipliesThemAsTheyAre()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = AnyLayer.Create(Options, 3);
        using var loop = AnyLayer.Create(Options with { Backend = ExpertBackend.Loop }, 3);
        foreach (var module in new[] { layer, loop }) module.to(bfloat16);
        var hidden = AnyLayer.Draw(new Random(1), 30, 40).to(bfloat16);

        var first = layer.call(hidden).Hidden;

        TensorAssert.Close(loop.call(hidden).Hidden.to(float32), first.to(float32), 2e-2, "output");
        for (int call = 0; call < 3; call++) TensorAssert.Same(first.to(float32), layer.call(hidden).Hidden.to(float32), $"call {call}");
        TensorAssert.Close(first.to(float32), layer.call(hidden.to(float32)).Hidden, 2e-2, "tokens of float32");
    }

    [Fact]
    public void Forward_OfLayersThatAreDisposedOfMeanwhile_EndsOrSaysSo()
    {
        var hidden = AnyLayer.Draw(new Random(1), 20, 40).DetachFromDisposeScope();
        double[] expected = Output(AnyLayer.Create(Options, 3), hidden);
        int ended = 0, refused = 0;
        for (int round = 0; round < 12; round++)
        {
            var layer = AnyLayer.Create(Options, 3);
            Parallel.For(0, 24, new ParallelOptions { MaxDegreeOfParallelism = 6 }, call =>
            {
                if (call == 20) layer.Dispose();
                try
                {
                    Assert.Equal(expected, Output(layer, hidden));
                    Interlocked.Increment(ref ended);
                }
                catch (ObjectDisposedException)
                {
                    Interlocked.Increment(ref refused);
                }
            });
        }

        hidden.Dispose();
        Assert.True(ended > 0 && refused > 0, $"{ended} ended, {refused} were refused");
    }

    private static double[] Output(nn.Module<Tensor, MoeOutput> layer, Tensor hidden)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return TensorAssert.Values(layer.call(hidden).Hidden);
    }
}
