using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp.Training;

/// <summary>The autograd node of <see cref="RmsNormKernel"/>: apply(x [..., size] float32, weight [size], epsilon) → [y].</summary>
internal sealed class RmsNormFunction : GuardedFunction<RmsNormFunction>
{
    /// <summary>The same without gradient, and without autograd's part, which for a single token is most of the time.</summary>
    public static Tensor Normalize(Tensor x, Tensor weight, double epsilon) => Normalized(x.contiguous(), weight, epsilon).Y;

    protected override List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
    {
        var (x, weight, epsilon) = (((Tensor)arguments[0]!).contiguous(), (Tensor)arguments[1]!, (double)arguments[2]!);      // given by the one caller, RmsNorm
        var (y, inverse) = Normalized(x, weight, epsilon);
        ctx.save_for_backward([x, weight, inverse]);
        return [y];
    }

    private static unsafe (Tensor Y, Tensor Inverse) Normalized(Tensor x, Tensor weight, double epsilon)
    {
        var (rows, size) = Shape(x);
        var (y, inverse) = (empty_like(x), empty(rows));
        fixed (float* from = Floats(x), scale = Floats(weight), to = Floats(y), kept = Floats(inverse)) RmsNormKernel.Forward(from, scale, to, kept, rows, size, (float)epsilon);
        return (y, inverse);
    }

    protected override unsafe List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
    {
        if (gradients[0] is not { IsInvalid: false } given) return [null, null, null];
        if (is_grad_enabled()) throw new NotSupportedException("RmsNorm has no second derivative: its gradient is computed outside autograd.");

        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (x, weight, inverse, dy) = (saved[0], saved[1], saved[2], given.contiguous());
        var (rows, size) = Shape(x);
        var (dx, dw) = (empty_like(x), empty_like(weight));

        fixed (float* from = Floats(x), scale = Floats(weight), kept = Floats(inverse), dto = Floats(dy), dfrom = Floats(dx), dscale = Floats(dw))
            RmsNormKernel.Backward(from, scale, kept, dto, dfrom, dscale, rows, size);

        return [dx.MoveToOuterDisposeScope(), dw.MoveToOuterDisposeScope(), null];
    }

    private static (int Rows, int Size) Shape(Tensor x)
    {
        int size = (int)x.size(-1);
        return (checked((int)(x.numel() / size)), size);
    }

    private static Span<float> Floats(Tensor tensor) => TensorValues.Of<float>(tensor);
}
