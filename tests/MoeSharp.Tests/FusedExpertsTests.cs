using TorchSharp;
using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The fused backend inside a layer: what it takes, what it refuses, what it spares. Its numbers are held against the others' in <see cref="LayerPropertyTests"/>.</summary>
public sealed class FusedExpertsTests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 24,
        Router = new() { ExpertCount = 4, TopK = 2 },
        Experts = new() { IntermediateSize = 20, HasBias = true },
        Backend = ExpertBackend.Fused,
    };

    [Fact]
    public void Backward_FrozenParameters_GivesThemNoGradientAndTheOthersTheSame()
    {
        using var scope = NewDisposeScope();
        using var all = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var some = (RoutedMoE)AnyLayer.Create(Options, 3);
        foreach (var frozen in new[] { some.Experts.Up, some.Experts.Down, some.Experts.GateBias!, some.Gate.Weight }) frozen.requires_grad_(false);

        foreach (var layer in new[] { all, some }) GuardedBackward.Run(layer.call(AnyLayer.Draw(new Random(1), 9, 24)).Hidden.square().sum());

        Assert.All([some.Experts.Up, some.Experts.Down, some.Experts.GateBias!, some.Gate.Weight], frozen => Assert.Null(frozen.grad));
        TensorAssert.Same(all.Experts.Gate.grad!, some.Experts.Gate.grad!, "gate");
        TensorAssert.Same(all.Experts.UpBias!.grad!, some.Experts.UpBias!.grad!, "up bias");
        TensorAssert.Same(all.Experts.DownBias!.grad!, some.Experts.DownBias!.grad!, "down bias");
    }

    [Fact]
    public void Forward_WithAndWithoutGradient_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        using (no_grad()) layer.Gate.Weight.zero_();        // libtorch's gate sums a token alone in another order
        var hidden = AnyLayer.Draw(new Random(1), 33, 24);

        var training = layer.call(hidden).Hidden;
        using var _ = no_grad();

        TensorAssert.Same(training, layer.call(hidden).Hidden, "output");
        TensorAssert.Same(training[7], layer.call(hidden[TensorIndex.Slice(7, 8)]).Hidden[0], "a token alone");
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, 2e-2)]
    [InlineData(ScalarType.Float16, 2e-3)]
    public void Forward_TokensOfHalfTheSize_ComputesInFloat32AndRoundsOnce(ScalarType type, double rounding)
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Create(Options, 3);
        var hidden = AnyLayer.Draw(new Random(1), 9, 24).to(type);

        var output = layer.call(hidden).Hidden;

        Assert.Equal(type, output.dtype);
        TensorAssert.Close(layer.call(hidden.to(float32)).Hidden, output.to(float32), rounding, "output");
    }

    /// <summary>Mixed precision, whatever this processor would choose: bfloat16 products, float32 parameters and gradients of these.</summary>
    [Theory]
    [InlineData(Recompute.None)]
    [InlineData(Recompute.All)]
    public void Backward_ProductsOfBFloat16_GivesFloat32GradientsNearThoseOfFloat32(Recompute recompute)
    {
        using var scope = NewDisposeScope();
        var options = Options with { Recompute = recompute };
        var exact = Gradients(ExpertPrecision.Float32);
        var mixed = Gradients(ExpertPrecision.BFloat16);

        foreach (var (name, gradient) in mixed)
        {
            Assert.Equal(name == "tokens" ? bfloat16 : float32, gradient.dtype);
            TensorAssert.Close(exact[name].to(float32), gradient.to(float32), 2e-2, name);
            Assert.True((exact[name] != gradient).any().item<bool>(), $"{name}: nothing was rounded");
        }

        Dictionary<string, Tensor> Gradients(ExpertPrecision precision)
        {
            var layer = (RoutedMoE)AnyLayer.Create(options, 3);
            var tokens = AnyLayer.Draw(new Random(1), 33, 24).to(bfloat16).requires_grad_();
            var (plan, _) = new Router(options, null).Route(randn([1, 33, 4], generator: new Generator(5)).requires_grad_(), RoutingCall.Plain, step: 0);
            GuardedBackward.Run(new FusedExperts(options, other: null, precision).Compute(tokens, plan, layer.Experts).to(float32).square().sum());
            return layer.Experts.named_parameters().Select(parameter => (parameter.name, parameter.parameter.grad!)).Append(("tokens", tokens.grad!)).ToDictionary();
        }
    }

    [Fact]
    public void Backward_ParametersOfBFloat16_GivesGradientsNearThoseOfLibtorch()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var loop = (RoutedMoE)AnyLayer.Create(Options with { Backend = ExpertBackend.Loop }, 3);
        foreach (var module in new[] { layer, loop }) module.to(bfloat16);

        foreach (var module in new[] { layer, loop }) GuardedBackward.Run(module.call(AnyLayer.Draw(new Random(1), 9, 24)).Hidden.square().sum());

        Assert.Equal(bfloat16, layer.Experts.Down.grad!.dtype);
        TensorAssert.Close(loop.Experts.Down.grad!.to(float32), layer.Experts.Down.grad!.to(float32), 1e-2, "down");
    }

    /// <summary>bfloat16 parameters are float32 ones of fewer values, and their gradients those of these, rounded once. Of 64 whole lines are written, of 24 by 20 none.</summary>
    [Theory]
    [InlineData(ExpertPrecision.Float32, 64, 64)]
    [InlineData(ExpertPrecision.Float32, 24, 20)]
    [InlineData(ExpertPrecision.BFloat16, 64, 64)]
    [InlineData(ExpertPrecision.BFloat16, 24, 20)]
    [InlineData(ExpertPrecision.BFloat16, 33, 37)]
    public void Backward_ParametersOfBFloat16_GivesTheGradientsOfFloat32OnesRounded(ExpertPrecision precision, int hidden, int intermediate)
    {
        using var scope = NewDisposeScope();
        var options = Options with { HiddenSize = hidden, Experts = new() { IntermediateSize = intermediate } };
        var (expected, expectedTokens) = Gradients(float32);
        var (actual, actualTokens) = Gradients(bfloat16);

        TensorAssert.Same(expectedTokens, actualTokens, "tokens");
        foreach (var (name, gradient) in actual)
        {
            Assert.Equal(bfloat16, gradient.dtype);
            TensorAssert.Same(expected[name].to(bfloat16).to(float32), gradient.to(float32), name);
        }

        (Dictionary<string, Tensor> Parameters, Tensor Tokens) Gradients(ScalarType type)
        {
            var experts = ((RoutedMoE)AnyLayer.Create(options, 3)).Experts;
            experts.to(bfloat16).to(type);
            var tokens = AnyLayer.Draw(new Random(1), 33, hidden).to(bfloat16).requires_grad_();
            var (plan, _) = new Router(options, null).Route(randn([1, 33, 4], generator: new Generator(5)), RoutingCall.Plain, step: 0);
            GuardedBackward.Run(new FusedExperts(options, other: null, precision).Compute(tokens, plan, experts).to(float32).square().sum());
            return (experts.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter.grad!), tokens.grad!);
        }
    }

    [Fact]
    public void Forward_TransposedTokens_ReadsThemAsTheyAre()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Create(Options, 3);
        var hidden = AnyLayer.Draw(new Random(1), 9, 24);
        var expected = layer.call(hidden).Hidden;

        var output = layer.call(hidden.t().contiguous().t()).Hidden;

        TensorAssert.Close(expected, output, 1e-6, "output");
    }

    [Fact]
    public void Forward_Float64Tokens_IsRefusedByFusedAndComputedByAuto()
    {
        using var scope = NewDisposeScope();
        using var fused = AnyLayer.Create(Options, 3);
        using var auto = AnyLayer.Create(Options with { Backend = ExpertBackend.Auto }, 3);
        var hidden = AnyLayer.Draw(new Random(1), 9, 24).to(float64);

        var error = Assert.Throws<NotSupportedException>(() => fused.call(hidden));

        Assert.StartsWith("The backend is Fused, which computes float32, bfloat16 and float16 tokens on the CPU; these are Float64 on cpu.", error.Message, StringComparison.Ordinal);
        Assert.Equal(float64, auto.call(hidden).Hidden.dtype);
    }

    /// <summary>The bytes that the words of <see cref="Recompute"/> promise, of 9 tokens to 2 experts each, of width 20 rounded up to 32.</summary>
    [Theory]
    [InlineData(Recompute.None, 18 * (12 * 32 + 2 * 64))]
    [InlineData(Recompute.Activation, 18 * (8 * 32 + 64))]
    [InlineData(Recompute.All, 0)]
    public void EmptyKept_AnyRecompute_HasTheBytesThatItSays(Recompute recompute, long bytes)
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options, 3);
        var plan = layer.Plan(AnyLayer.Draw(new Random(1), 9, 24)).Plan;

        var kept = new FusedKernels(Options with { Recompute = recompute }).EmptyKept(plan, default);

        Assert.Equal(bytes, kept.numel() * kept.ElementSize);
    }

    /// <summary>A graph may be walked again, and what is computed in place of a gradient must not be what is kept.</summary>
    [Theory]
    [InlineData(Recompute.None)]
    [InlineData(Recompute.Activation)]
    [InlineData(Recompute.All)]
    public void Backward_Twice_AddsTheSameGradientAgain(Recompute recompute)
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedMoE)AnyLayer.Create(Options with { Recompute = recompute }, 3);
        var loss = layer.call(AnyLayer.Draw(new Random(1), 9, 24)).Hidden.square().sum();
        loss.backward(retain_graph: true);
        var once = layer.Experts.Gate.grad!.clone();

        loss.backward();

        TensorAssert.Same(once * 2, layer.Experts.Gate.grad!, "gate");
    }

    [Fact]
    public void Backward_AskedForASecondDerivative_SaysThatThereIsNone()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Create(Options, 3);
        var hidden = AnyLayer.Draw(new Random(1), 9, 24).requires_grad_();
        var loss = layer.call(hidden).Hidden.sum();

        Assert.ThrowsAny<Exception>(() => loss.backward(create_graph: true));      // that the process lives is the test
    }

    /// <summary>Without gradient one pass computes routed and shared experts; with one libtorch computes the shared.</summary>
    [Theory]
    [InlineData(true, null, 1)]
    [InlineData(true, 0.4, 33)]
    [InlineData(false, 0.4, 1)]
    [InlineData(false, null, 33)]
    [InlineData(false, null, 0)]
    public void Forward_SharedExpertWithoutGradient_AgreesWithLibtorch(bool isGated, double? limit, int tokens)
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Create(Options with { Shared = new() { IntermediateSize = 37, IsGated = isGated, Limit = limit } }, 3);
        var hidden = AnyLayer.Draw(new Random(1), tokens, 24);
        var expected = layer.call(hidden).Hidden;
        using var _ = no_grad();

        for (int call = 0; call < 3; call++) TensorAssert.Close(expected, layer.call(hidden).Hidden, 1e-5, $"call {call}");      // packed as it runs, packed and kept, kept
    }

    [Fact]
    public void Forward_SharedExpertThatWasChanged_ReadsItsNewWeights()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedAndSharedMoE)AnyLayer.Create(Options with { Shared = new() { IntermediateSize = 37 } }, 3);
        var hidden = AnyLayer.Draw(new Random(1), 5, 24);
        using var _ = no_grad();
        for (int call = 0; call < 3; call++) layer.call(hidden);

        layer.Shared.Down.mul_(2);

        TensorAssert.Close(layer.Routed.call(hidden).Hidden + layer.Shared.call(hidden), layer.call(hidden).Hidden, 1e-5, "output");
    }

    [Fact]
    public void Forward_SharedExpertOfBfloat16_AgreesWithLibtorchInItsRounding()
    {
        using var scope = NewDisposeScope();
        using var layer = (RoutedAndSharedMoE)AnyLayer.Create(Options with { Shared = new() { IntermediateSize = 37, IsGated = true } }, 3);
        layer.to(bfloat16);
        var hidden = AnyLayer.Draw(new Random(1), 5, 24).to(bfloat16);
        using var _ = no_grad();

        TensorAssert.Close((layer.Routed.call(hidden).Hidden + layer.Shared.call(hidden)).to(float32), layer.call(hidden).Hidden.to(float32), 3e-2, "output");
    }

    [Fact]
    public void Forward_FromManyThreads_GivesTheSameBits()
    {
        using var layer = AnyLayer.Create(Options, 3);
        using var scope = NewDisposeScope();
        var hidden = AnyLayer.Draw(new Random(1), 50, 24);
        double[] expected = TensorAssert.Values(layer.call(hidden).Hidden);

        Parallel.For(0, 40, new ParallelOptions { MaxDegreeOfParallelism = 6 }, _ =>
        {
            using var own = NewDisposeScope();
            Assert.Equal(expected, TensorAssert.Values(layer.call(hidden).Hidden));
        });
    }
}
