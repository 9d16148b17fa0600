using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp.Tests;

public sealed class RoutedMoETests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 6,
        Router = new RouterOptions { ExpertCount = 4, TopK = 2 },
        Experts = new ExpertOptions { IntermediateSize = 5 },
    };

    [Fact]
    public void Layer_AllParts_HaveTheirNamesInTheStateDict()
    {
        using var scope = NewDisposeScope();
        var options = Options with
        {
            Router = Options.Router with { HasLogitBias = true, HasCorrectionBias = true, HasPerExpertScale = true },
            Experts = Options.Experts with { HasBias = true },
            Shared = new SharedExpertOptions { IntermediateSize = 3, IsGated = true },
        };

        using var layer = new RoutedAndSharedMoE(options);

        string[] expected =
        [
            "routed.gate.weight", "routed.gate.bias", "routed.experts.gate", "routed.experts.up", "routed.experts.down",
            "routed.experts.gate_bias", "routed.experts.up_bias", "routed.experts.down_bias",
            "routed.router.per_expert_scale", "routed.router.correction_bias",
            "shared.gate", "shared.up", "shared.down", "shared.router",
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), layer.state_dict().Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void RoutedMoE_MovedToAnotherType_UsesTheNewParameters()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);
        var before = layer.Experts.Gate;

        layer.to(bfloat16);
        var output = layer.call(AnyLayer.Draw(new Random(1), 3, 6).to(bfloat16));

        Assert.NotSame(before, layer.Experts.Gate);
        Assert.Equal(bfloat16, layer.Experts.Gate.dtype);
        Assert.Equal(bfloat16, layer.Gate.Weight.dtype);
        Assert.Equal(bfloat16, output.Hidden.dtype);
    }

    [Fact]
    public void RoutedMoE_BuffersMovedToBfloat16_AreReadAsFloat32()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options with { Router = Options.Router with { HasPerExpertScale = true, Select = new Selection.QuantileBalance() } });
        layer.to(bfloat16);

        Assert.Equal(bfloat16, layer.QuantileBias!.dtype);
        Assert.Equal([3, 6], layer.call(ones(3, 6, bfloat16)).Hidden.shape);
    }

    [Fact]
    public void RoutedMoE_SameGenerator_StartsWithTheSameWeights()
    {
        using var scope = NewDisposeScope();

        using var first = new RoutedMoE(Options, generator: new Generator(7));
        using var second = new RoutedMoE(Options, generator: new Generator(7));

        foreach (var (a, b) in first.parameters().Zip(second.parameters())) TensorAssert.Same(a, b);
        Assert.InRange(TensorAssert.Values(first.Experts.Gate).Max(), 0.02, 0.1);
    }

    [Fact]
    public void RoutedMoE_MadeInsideAScope_KeepsItsParameters()
    {
        RoutedMoE layer;
        using (NewDisposeScope()) layer = new RoutedMoE(Options with { Router = Options.Router with { HasCorrectionBias = true, HasPerExpertScale = true } });

        Assert.All(layer.state_dict().Values, values => Assert.False(values.IsInvalid));
        layer.Dispose();
    }

    [Fact]
    public void RoutedMoE_OneExpert_EqualsADenseMlp()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Routed(AnyLayer.Create(Options with { Router = new RouterOptions { ExpertCount = 1, TopK = 1 } }, 5));
        var hidden = AnyLayer.Draw(new Random(2), 2, 3, 6);

        var output = layer.call(hidden).Hidden;

        var (gate, up, down) = (layer.Experts.Gate[0], layer.Experts.Up[0], layer.Experts.Down[0]);
        TensorAssert.Close(functional.linear(functional.silu(functional.linear(hidden, gate)) * functional.linear(hidden, up), down), output, 1e-6);
    }

    [Theory]
    [InlineData(ExpertBackend.Fused)]
    [InlineData(ExpertBackend.Grouped)]
    [InlineData(ExpertBackend.Loop)]
    [InlineData(ExpertBackend.Dense)]
    public void RoutedMoE_AllTokensToOneExpert_GivesIdleExpertsZeroGradients(ExpertBackend backend)
    {
        using var scope = NewDisposeScope();
        var options = Options with { Router = new RouterOptions { ExpertCount = 4, TopK = 1, HasLogitBias = true }, Backend = backend };
        using var layer = AnyLayer.Routed(AnyLayer.Create(options, 5));
        using (no_grad()) layer.Gate.Bias!.copy_(tensor(new[] { 0f, 0f, 50f, 0f }));

        var output = layer.call(AnyLayer.Draw(new Random(2), 9, 6));
        GuardedBackward.Run(output.Hidden.sum());

        Assert.Equal([0, 0, 9, 0], TensorAssert.Values(output.Statistics.TokensPerExpert));
        foreach (int idle in new[] { 0, 1, 3 })
        {
            TensorAssert.Same(zeros(5, 6), layer.Experts.Gate.grad![idle]);
            TensorAssert.Same(zeros(6, 5), layer.Experts.Down.grad![idle]);
        }

        Assert.NotEqual(0, layer.Experts.Gate.grad![2].abs().sum().item<float>());
    }

    [Fact]
    public void RoutedMoE_Bfloat16InputAndFloat32Parameters_ComputesInBfloat16AndTrainsInFloat32()
    {
        using var scope = NewDisposeScope();
        using var master = AnyLayer.Routed(AnyLayer.Create(Options, 5));
        using var rounded = AnyLayer.Routed(AnyLayer.Create(Options, 5));
        using (no_grad()) foreach (var parameter in rounded.Experts.parameters()) parameter.copy_(parameter.to(bfloat16));
        var hidden = AnyLayer.Draw(new Random(2), 7, 6).to(bfloat16);

        var output = master.call(hidden).Hidden;
        GuardedBackward.Run(output.sum());

        Assert.Equal(bfloat16, output.dtype);
        Assert.All(master.parameters(), parameter => Assert.Equal(float32, parameter.grad!.dtype));
        TensorAssert.Same(master.Plan(hidden).Weights, master.Plan(hidden.to(float32)).Weights);
        TensorAssert.Close(rounded.call(hidden.to(float32)).Hidden, output, 0.02);
    }

    [Fact]
    public void RoutedMoE_OneThreadOrTwo_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        var options = Options with { HiddenSize = 64, Experts = new ExpertOptions { IntermediateSize = 96 } };
        int threads = get_num_threads();
        var results = new List<(Tensor Output, Tensor Gradient)>();
        foreach (int count in new[] { 1, 2 })
        {
            set_num_threads(count);
            using var layer = AnyLayer.Routed(AnyLayer.Create(options, 5));
            var hidden = AnyLayer.Draw(new Random(2), 300, 64).requires_grad_();
            var output = layer.call(hidden).Hidden;
            GuardedBackward.Run(output.square().sum());
            results.Add((output, hidden.grad!));
        }

        set_num_threads(threads);
        TensorAssert.Same(results[0].Output, results[1].Output);
        TensorAssert.Same(results[0].Gradient, results[1].Gradient);
    }

    [Fact]
    public void RoutedMoE_FiftyTrainingSteps_LeaveNoTensorBehind()
    {
        using var layer = AnyLayer.Create(Options with { Shared = new SharedExpertOptions { IntermediateSize = 4 } }, 5);
        var random = new Random(3);
        using var optimizer = optim.SGD(layer.parameters(), 0.01);
        void Step()
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var output = layer.call(AnyLayer.Draw(random, 11, 6));
            GuardedBackward.Run(output.Hidden.square().sum() + output.Statistics.LoadBalanceLoss + output.Statistics.ZLoss);
            optimizer.step();
        }

        Step();
        long alive = DisposeScopeManager.Statistics.ThreadTotalLiveCount; // of this thread: other tests run beside this one
        for (int i = 0; i < 50; i++) Step();

        Assert.Equal(alive, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Theory]
    [InlineData(BiasRule.Sign, new[] { 0, 0.125, 0.125, -0.125 })]
    [InlineData(BiasRule.Proportional, new[] { 0, 0.1, 0.025, -0.125 })]
    public void UpdateBalance_UnevenLoad_MovesEachExpertTowardsTheMean(BiasRule rule, double[] expected)
    {
        using var scope = NewDisposeScope();
        using var layer = Balanced(new BalanceBiasOptions(0.125) { Rule = rule });

        layer.UpdateBalance(RoutingLoad.Of(20, [10, 2, 8, 20]));
        layer.UpdateBalance(RoutingLoad.Of(20, [10, 10, 10, 10]));

        TensorAssert.Close(expected, TensorAssert.Values(layer.CorrectionBias!), 1e-6, "bias");
        Assert.False(layer.CorrectionBias!.requires_grad);
    }

    [Theory]
    [InlineData(BalanceScores.Softmax)]
    [InlineData(BalanceScores.SoftmaxOfBiasedScore)]        // which sends a gradient to the bias
    public void UpdateBalance_BetweenForwardAndBackward_LeavesGradientsAndStatisticsAsTheyWere(BalanceScores scores)
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(
            Options with { Router = Options.Router with { HasCorrectionBias = true }, BalanceBias = new(0.125), LoadBalance = [new() { Coefficient = 1, Scores = scores, Scope = BalanceScope.Batch }] }, 3);
        var hidden = AnyLayer.Draw(new Random(4), 5, Options.HiddenSize);

        double[] Run(bool updates)
        {
            layer.zero_grad();
            using (no_grad()) layer.CorrectionBias!.zero_();
            var output = layer.call(hidden);
            MoeOutput ungraded;
            using (no_grad()) ungraded = layer.call(hidden);
            if (updates) layer.UpdateBalance(RoutingLoad.Of(20, [10, 2, 8, 20]));
            GuardedBackward.Run(output.Hidden.square().sum() + output.Statistics.AuxiliaryLoss);
            return [.. layer.parameters().SelectMany(parameter => TensorAssert.Values(parameter.grad!)), .. TensorAssert.Values(ungraded.Statistics.AuxiliaryLoss)];
        }

        Assert.Equal(Run(updates: false), Run(updates: true));
    }

    [Theory]
    [InlineData(ExpertBackend.Fused)]
    [InlineData(ExpertBackend.Grouped)]
    [InlineData(ExpertBackend.Loop)]
    [InlineData(ExpertBackend.Dense)]
    public void TokenTable_NamesAnExpertTwice_AddsItWithBothWeights(ExpertBackend backend)
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options with { Backend = backend, Router = Options.Router with { Select = new Selection.TokenTable(2) } }, 3);
        using var once = (RoutedMoE)AnyLayer.Create(Options with { Backend = ExpertBackend.Loop, Router = Options.Router with { TopK = 1, Select = new Selection.TokenTable(2) } }, 3);
        layer.TokenTable!.copy_(tensor(new long[] { 1, 1, 2, 0 }, 2, 2));
        once.TokenTable!.copy_(tensor(new long[] { 1, 2 }, 2, 1));
        var hidden = AnyLayer.Draw(new Random(4), 1, Options.HiddenSize);
        var call = new RoutingCall { TokenIds = zeros(1, int64) };

        TensorAssert.Close(once.forward(hidden, call).Hidden * 2, layer.forward(hidden, call).Hidden, 1e-5);
    }

    [Fact]
    public void UpdateBalance_Frozen_ChangesNothing()
    {
        using var scope = NewDisposeScope();
        using var layer = Balanced(new BalanceBiasOptions(0.125) { IsFrozen = true });

        layer.UpdateBalance(RoutingLoad.Of(20, [10, 2, 8, 20]));

        TensorAssert.Same(zeros(4), layer.CorrectionBias!);
    }

    [Fact]
    public void UpdateBalance_LoadOfAnotherLayer_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var layer = Balanced(new BalanceBiasOptions(0.125));

        Assert.StartsWith("The load is of 3 experts; expected 4", Assert.Throws<ArgumentException>(() => layer.UpdateBalance(RoutingLoad.Of(3, [1, 1, 1]))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ExpertBackend.Fused)]
    [InlineData(ExpertBackend.Grouped)]
    [InlineData(ExpertBackend.Loop)]
    [InlineData(ExpertBackend.Dense)]
    public void Mask_WhateverPaddingHolds_ChangesNoBitOfOutputsLossesAndGradients(ExpertBackend backend)
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options with { Backend = backend, LoadBalance = [new() { Coefficient = 1 }], ZLossCoefficient = 1 }, 3);
        var mask = tensor(new[] { true, true, false, true, false, true }, 2, 3);
        var upstream = AnyLayer.Draw(new Random(5), 2, 3, Options.HiddenSize);

        double[] Run(float padding)
        {
            layer.zero_grad();
            var hidden = AnyLayer.Draw(new Random(4), 2, 3, Options.HiddenSize);
            hidden[mask.logical_not()] = tensor(padding);
            var output = layer.forward(hidden.requires_grad_(), new RoutingCall { TokenMask = mask });
            GuardedBackward.Run((output.Hidden * upstream).sum() + output.Statistics.AuxiliaryLoss);
            return [.. TensorAssert.Values(output.Hidden), .. TensorAssert.Values(output.Statistics.AuxiliaryLoss), .. layer.parameters().SelectMany(parameter => TensorAssert.Values(parameter.grad!)), .. TensorAssert.Values(hidden.grad!)];
        }

        var expected = Run(0);
        Assert.All(new[] { 1e20f, float.NaN, float.PositiveInfinity }, padding => Assert.Equal(expected, Run(padding)));
        Assert.All(expected, value => Assert.True(double.IsFinite(value)));
    }

    [Fact]
    public void Jitter_InTrainingOnly_DrawsTheSameForTheSameStep()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options with { Router = Options.Router with { InputJitter = 0.2, LogitJitter = 0.2, Seed = 9 } }, 3);
        var hidden = AnyLayer.Draw(new Random(4), 5, Options.HiddenSize);
        double[] Weights(long? step) => TensorAssert.Values(layer.Plan(hidden, new RoutingCall { Step = step }).Weights);

        Assert.Equal(Weights(7), Weights(7));
        Assert.NotEqual(Weights(7), Weights(8));
        var next = Weights(null);
        Assert.Equal(next, Weights(null));      // looking changes nothing
        Assert.Equal(next, layer.call(hidden).Statistics.Plan.Weights.Select(weight => (double)weight));
        Assert.NotEqual(next, Weights(null));      // a call counts

        layer.eval();
        Assert.Equal(Weights(7), Weights(8));
    }

    private static RoutedMoE Balanced(BalanceBiasOptions balance) => new(Options with { Router = Options.Router with { HasCorrectionBias = true }, BalanceBias = balance });

    [Fact]
    public void Forward_WrongTensors_SayWhatFits()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);
        string Refusal(Tensor hidden, Tensor? mask = null, Tensor? routerInput = null) =>
            Assert.Throws<ArgumentException>(() => layer.forward(hidden, new RoutingCall { TokenMask = mask, RouterInput = routerInput })).Message;

        Assert.StartsWith("The hidden states have shape [2, 5]; expected [.., 6] because HiddenSize is 6.", Refusal(zeros(2, 5)), StringComparison.Ordinal);
        Assert.StartsWith("The hidden states have shape []; expected [.., 6]", Refusal(tensor(1f)), StringComparison.Ordinal);
        Assert.StartsWith("The hidden states are of type Int64; expected a floating type.", Refusal(zeros(2, 6, int64)), StringComparison.Ordinal);
        Assert.StartsWith("The token mask is Bool [3]; expected Bool [2], one value per token", Refusal(zeros(2, 6), ones(3, @bool)), StringComparison.Ordinal);
        Assert.StartsWith("The token mask is Float32 [2]; expected Bool [2]", Refusal(zeros(2, 6), ones(2)), StringComparison.Ordinal);
        Assert.StartsWith("The router's inputs have shape [2, 5]; expected [.., 6]", Refusal(zeros(2, 6), null, zeros(2, 5)), StringComparison.Ordinal);
        Assert.StartsWith("The router's inputs have shape [1, 6]; expected [2, 6]", Refusal(zeros(2, 6), null, zeros(1, 6)), StringComparison.Ordinal);
    }

    [Fact]
    public void Forward_GivenNoExpertsForATokenOrTheLoadOfAnotherLayer_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var layer = new RoutedMoE(Options);
        string Refusal(RoutingCall call) => Assert.Throws<ArgumentException>(() => layer.forward(zeros(2, 6), call)).Message;

        Assert.StartsWith("The given experts are Int64 [2, 0]; expected Int64 [2, -1], a row of experts for each token.", Refusal(new() { Experts = zeros(2, 0, int64) }), StringComparison.Ordinal);
        Assert.StartsWith("The load of the step is of 3 experts; expected 4", Refusal(new() { StepLoad = RoutingLoad.Of(3, [1, 1, 1]) }), StringComparison.Ordinal);
    }

    [Fact]
    public void Forward_AfterDispose_IsRefused()
    {
        using var scope = NewDisposeScope();
        var layer = new RoutedMoE(Options);
        layer.Dispose();

        Assert.Throws<ObjectDisposedException>(() => layer.call(zeros(2, 6)));
    }

    [Fact]
    public void Constructor_OptionsOfTheOtherLayer_NamesThatLayer()
    {
        var shared = Options with { Shared = new SharedExpertOptions { IntermediateSize = 3 } };

        Assert.Contains("create a RoutedAndSharedMoE", Assert.Throws<ArgumentException>(() => new RoutedMoE(shared)).Message, StringComparison.Ordinal);
        Assert.Contains("create a RoutedMoE", Assert.Throws<ArgumentException>(() => new RoutedAndSharedMoE(Options)).Message, StringComparison.Ordinal);
    }
}
