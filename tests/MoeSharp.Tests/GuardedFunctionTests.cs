using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp.Tests;

public sealed class GuardedFunctionTests
{
    public enum Fault
    {
        None,
        Throws,
        TooFewGradients,
        GradientOfAValue,
        DisposedGradient,
    }

    [Fact]
    public void Run_HealthyFunction_GivesItsGradient()
    {
        using var scope = NewDisposeScope();
        var x = ones(2, 3).requires_grad_();

        GuardedBackward.Run(Doubling.apply(x, Fault.None)[0].sum());

        TensorAssert.Same(full(2, 3, 2f), x.grad!);
    }

    [Theory]
    [InlineData(Fault.Throws, "thrown inside")]
    [InlineData(Fault.TooFewGradients, "Doubling.Differentiate returned 1 gradients for 2 arguments")]
    [InlineData(Fault.GradientOfAValue, "a gradient for argument 1, which is no tensor")]
    [InlineData(Fault.DisposedGradient, "a disposed gradient for argument 0")]
    public void Run_FaultyBackward_RaisesTheOriginalError(Fault fault, string message)
    {
        using var scope = NewDisposeScope();
        foreach (long[] shape in new long[][] { [], [0], [1], [2, 3] })
        {
            var x = ones(shape).requires_grad_();

            var error = Assert.Throws<InvalidOperationException>(() => GuardedBackward.Run(Doubling.apply(x, fault)[0].sum()));

            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Run_ErrorOfLibtorch_IsNotReplacedByAnEarlierOne()
    {
        using var scope = NewDisposeScope();
        var x = ones(2).requires_grad_();
        Assert.Throws<InvalidOperationException>(() => GuardedBackward.Run(Doubling.apply(x, Fault.Throws)[0].sum()));

        var error = Assert.ThrowsAny<Exception>(() => GuardedBackward.Run(ones(1)));

        Assert.DoesNotContain("thrown inside", error.Message, StringComparison.Ordinal);
    }

    private sealed class Doubling : GuardedFunction<Doubling>
    {
        protected override List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
        {
            ctx.save_data("fault", arguments[1]!);
            return [(Tensor)arguments[0]! * 2];
        }

        protected override List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
        {
            var gradient = gradients[0]! * 2;
            switch ((Fault)ctx.get_data("fault"))
            {
                case Fault.Throws: throw new InvalidOperationException("thrown inside");
                case Fault.TooFewGradients: return [gradient];
                case Fault.GradientOfAValue: return [gradient, gradient.clone()];
                case Fault.DisposedGradient: gradient.Dispose(); break;
            }

            return [gradient, null];
        }
    }
}
