using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

public sealed class AdamWTests
{
    private static readonly AdamWOptions Options = new(Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, WeightDecay: 0.1);

    [Fact]
    public void Step_ThreeSteps_EqualsTheFormulaInDouble()
    {
        using var scope = NewDisposeScope();
        double[] weights = [.. Enumerable.Range(0, 6).Select(i => 0.3 * i - 1)], first = new double[6], second = new double[6];
        using var parameter = new Parameter(tensor(weights, [2, 3], ScalarType.Float32));
        using var optimizer = new AdamW([parameter], Options);

        for (int step = 1; step <= 3; step++)
        {
            double[] gradient = [.. Enumerable.Range(0, 6).Select(i => Math.Sin(i + step))];
            parameter.grad = tensor(gradient, [2, 3], ScalarType.Float32);
            optimizer.Step(0.01);
            for (int i = 0; i < 6; i++)
            {
                first[i] = 0.9 * first[i] + 0.1 * gradient[i];
                second[i] = 0.95 * second[i] + 0.05 * gradient[i] * gradient[i];
                weights[i] -= 0.01 * 0.1 * weights[i];
                weights[i] -= 0.01 * (first[i] / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(second[i] / (1 - Math.Pow(0.95, step))) + 1e-8);
            }
        }

        Assert.Equal(weights, parameter.data<float>().ToArray().Select(value => (double)value), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    // libtorch's own tails are computed by another formula, so whole vectors have its bits, and tails are within a unit in the last place or so
    [Theory]
    [InlineData(0.9, 0.95, 0.1)]
    [InlineData(0.3, 0.999, 0)]
    [InlineData(0.5, 0.5, 0.01)]
    [InlineData(0, 0, 0.01)]
    public void Step_SeveralSteps_HasTheBitsOfLibtorchsFusedKernel(double beta1, double beta2, double decay)
    {
        using var scope = NewDisposeScope();
        var options = new AdamWOptions(beta1, beta2, 1e-8, decay);
        using var ours = new Parameter(randn([3, 16, 37], generator: new Generator(1)));
        using var theirs = new AdamWSlot(new Parameter(ours.detach().clone()));
        using var optimizer = new AdamW([ours], options);

        for (int step = 0; step < 5; step++)
        {
            var gradient = randn([3, 16, 37], generator: new Generator((ulong)step)) * 0.1;
            ours.grad = gradient;
            optimizer.Step(0.01 / (step + 1));
            theirs.Steps.add_(1);
            FusedOperations.AdamW([theirs.Parameter], [gradient], [theirs.First], [theirs.Second], [theirs.Steps], options, 0.01 / (step + 1), decay);
        }

        var slot = Assert.Single(optimizer.Slots);
        Assert.Equal(Values(theirs.Parameter), Values(slot.Parameter));
        Assert.Equal(Values(theirs.First), Values(slot.First));
        Assert.Equal(Values(theirs.Second), Values(slot.Second));
        Assert.Equal(5, slot.Steps.item<float>());
    }

    [Fact]
    public void Step_AVector_DoesNotDecay()
    {
        using var scope = NewDisposeScope();
        using var vector = new Parameter(ones(4));
        using var matrix = new Parameter(ones(2, 2));
        using var optimizer = new AdamW([vector, matrix], Options);
        vector.grad = zeros(4);
        matrix.grad = zeros(2, 2);

        optimizer.Step(0.5);

        Assert.All(vector.data<float>().ToArray(), value => Assert.Equal(1f, value));
        Assert.All(matrix.data<float>().ToArray(), value => Assert.Equal(0.95f, value, 1e-6f));
    }

    [Fact]
    public void Step_AParameterWithoutGradient_StaysAsItIs()
    {
        using var scope = NewDisposeScope();
        using var idle = new Parameter(ones(2, 2));
        using var optimizer = new AdamW([idle], Options);

        optimizer.Step(0.5);

        Assert.All(idle.data<float>().ToArray(), value => Assert.Equal(1f, value));
    }

    [Fact]
    public void ClipGradients_ALongGradient_KeepsItsDirection()
    {
        using var scope = NewDisposeScope();
        using var a = new Parameter(zeros(1));
        using var b = new Parameter(zeros(1));
        using var optimizer = new AdamW([a, b], Options);
        (a.grad, b.grad) = (tensor(new[] { 30f }), tensor(new[] { 40f }));

        double norm = optimizer.ClipGradients(1);

        Assert.Equal(50, norm, 1e-4);
        Assert.Equal(0.6f, a.grad!.item<float>(), 1e-5f);
        Assert.Equal(0.8f, b.grad!.item<float>(), 1e-5f);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(0)]
    public void ClipGradients_BelowTheLimitOrWithout_LeavesTheGradient(double limit)
    {
        using var scope = NewDisposeScope();
        using var parameter = new Parameter(zeros(1));
        using var optimizer = new AdamW([parameter], Options);
        parameter.grad = tensor(new[] { 30f });

        Assert.Equal(30, optimizer.ClipGradients(limit), 1e-4);
        Assert.Equal(30f, parameter.grad!.item<float>());
    }

    [Fact]
    public void Schedule_WarmsUpThenFallsToTheMinimum()
    {
        var schedule = new LearningRateSchedule(Peak: 2, WarmupSteps: 4, Steps: 24, MinimumFactor: 0.1);

        Assert.Equal([0.5, 1, 1.5, 2, 2], Enumerable.Range(0, 5).Select(schedule.At));
        Assert.Equal(1.1, schedule.At(14), 1e-12);
        Assert.Equal(0.2, schedule.At(24), 1e-12);
        Assert.All(Enumerable.Range(4, 19), step => Assert.True(schedule.At(step + 1) < schedule.At(step)));
    }

    private static float[] Values(Tensor tensor) => TensorMemory.Values<float>(tensor);
}
