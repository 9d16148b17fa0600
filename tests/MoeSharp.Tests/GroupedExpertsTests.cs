using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The grouped backend inside a layer: types, sizes it leaves to the loop, threads. Its numbers are held against the others' in <see cref="LayerPropertyTests"/>.</summary>
public sealed class GroupedExpertsTests
{
    private static readonly MoeOptions Options = new()
    {
        HiddenSize = 24,
        Router = new() { ExpertCount = 4, TopK = 2 },
        Experts = new() { IntermediateSize = 16, HasBias = true },
        Backend = ExpertBackend.Grouped,
    };

    [Theory]
    [InlineData(ScalarType.BFloat16, 24, 16)]
    [InlineData(ScalarType.Float16, 24, 16)]
    [InlineData(ScalarType.Float64, 24, 16)]
    [InlineData(ScalarType.BFloat16, 20, 16)]       // rows of 40 bytes, no multiple of 16
    [InlineData(ScalarType.Float32, 23, 16)]
    [InlineData(ScalarType.Float32, 24, 15)]
    public void Forward_AnyTypeAndSize_EqualsTheLoopWithGradients(ScalarType type, int size, int width)
    {
        using var scope = NewDisposeScope();
        var options = Options with { HiddenSize = size, Experts = Options.Experts with { IntermediateSize = width } };
        using var grouped = (RoutedMoE)AnyLayer.Create(options, 3);
        using var loop = (RoutedMoE)AnyLayer.Create(options with { Backend = ExpertBackend.Loop }, 3);
        var hidden = AnyLayer.Draw(new Random(1), 9, size).to(type);

        var (output, expected) = (grouped.call(hidden).Hidden, loop.call(hidden).Hidden);
        foreach (var result in new[] { output, expected }) GuardedBackward.Run(result.to(float32).square().sum());

        double rounding = type is ScalarType.BFloat16 or ScalarType.Float16 ? 2e-2 : 1e-5;
        Assert.Equal(type, output.dtype);
        TensorAssert.Close(expected.to(float32), output.to(float32), rounding, "output");
        foreach (var (name, parameter) in AnyLayer.Parameters(loop)) TensorAssert.Close(parameter.grad!, AnyLayer.Parameters(grouped)[name].grad!, rounding, name);
    }

    [Fact]
    public void Backward_OfASum_TakesTheExpandedGradient()
    {
        using var scope = NewDisposeScope();
        using var grouped = (RoutedMoE)AnyLayer.Create(Options, 3);
        using var loop = (RoutedMoE)AnyLayer.Create(Options with { Backend = ExpertBackend.Loop }, 3);

        foreach (var layer in new[] { grouped, loop }) GuardedBackward.Run(layer.call(AnyLayer.Draw(new Random(1), 9, 24)).Hidden.sum());

        TensorAssert.Close(loop.Experts.Down.grad!, grouped.Experts.Down.grad!, 1e-5, "down");
    }

    [Fact]
    public void Forward_FromManyThreads_GivesEachItsOwn()
    {
        using var scope = NewDisposeScope();
        using var layer = AnyLayer.Create(Options, 3);

        Parallel.For(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 4 }, call =>
        {
            using var own = NewDisposeScope();
            var hidden = AnyLayer.Draw(new Random(call), call % 7, 24);
            TensorAssert.Same(layer.call(hidden).Hidden, layer.call(hidden).Hidden, "output");
        });
    }
}
