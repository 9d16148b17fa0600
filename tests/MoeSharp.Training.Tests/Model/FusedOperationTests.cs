using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>The one-pass operations against the same maths in libtorch's operations.</summary>
public sealed class FusedOperationTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 7)]
    [InlineData(63, 16)]
    [InlineData(64, 33)]
    [InlineData(65, 8)]
    [InlineData(200, 128)]
    public void RmsNorm_EqualsItsFormulaInOutputAndGradients(long rows, long size)
    {
        using var scope = NewDisposeScope();
        var x = randn(rows, size, generator: new Generator(1)).requires_grad_();
        var upstream = randn(rows, size, generator: new Generator(2));
        using var norm = new RmsNorm(size, 1e-5);
        using (no_grad()) norm.Weight.copy_(randn(size, generator: new Generator(3)));
        using var reference = new Parameter(norm.Weight.detach().clone());

        var ours = Gradients(norm.call(x), upstream, x, norm.Weight);
        var theirs = Gradients(x * rsqrt(x.square().mean([-1L], keepdim: true) + 1e-5) * reference, upstream, x, reference);

        foreach (var (a, b) in ours.Zip(theirs)) Assert.InRange(Comparison.RelativeError(a, b), 0, 5e-6);
    }

    [Fact]
    public void RmsNorm_ARowOfItsOwn_HasTheBitsItHasAmongOthers()
    {
        using var scope = NewDisposeScope();
        var x = randn(200, 24, generator: new Generator(1));
        using var norm = new RmsNorm(24, 1e-6);

        var together = norm.call(x);

        foreach (long row in (long[])[0, 63, 64, 199]) Assert.Equal(together[row].bytes.ToArray(), norm.call(x.narrow(0, row, 1)).bytes.ToArray());
    }

    [Fact]
    public void RmsNorm_WithoutGradient_HasTheSameBits_AndNoHistory()
    {
        using var scope = NewDisposeScope();
        var x = randn(3, 24, 5, generator: new Generator(1)).transpose(1, 2);       // as heads are, not in one piece
        using var norm = new RmsNorm(24, 1e-6);
        var graded = norm.call(x);
        using var _ = no_grad();

        var plain = norm.call(x);

        Assert.Equal(graded.bytes.ToArray(), plain.bytes.ToArray());
        Assert.Equal(graded.shape, plain.shape);
        Assert.False(plain.requires_grad);
    }

    [Fact]
    public void RmsNorm_Repeated_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        var x = randn(1000, 24, generator: new Generator(1)).requires_grad_();
        using var norm = new RmsNorm(24, 1e-6);
        byte[][] Bits() => [.. Gradients(norm.call(x), ones(1000, 24), x, norm.Weight).Select(tensor => tensor.bytes.ToArray())];

        Assert.Equal(Bits(), Bits());
    }

    [Theory]
    [InlineData(1, 1.0)]
    [InlineData(7, 0.5)]
    [InlineData(511, 1.0)]
    [InlineData(512, 0.25)]
    [InlineData(1030, 1.0)]
    public void LinearCrossEntropy_EqualsTheLossOfAllLogits(long rows, double upstream)
    {
        using var scope = NewDisposeScope();
        var hidden = randn(rows, 12, generator: new Generator(1)).requires_grad_();
        using var head = new Parameter(randn(30, 12, generator: new Generator(2)));
        var targets = randint(0, 30, [rows], dtype: ScalarType.Int64, generator: new Generator(3));
        if (rows > 2) targets[1] = TrainingStep.Ignored;

        var ours = Gradients(LinearCrossEntropy.Loss(hidden, head, targets, TrainingStep.Ignored), tensor((float)upstream), hidden, head);
        var theirs = Gradients(nn.functional.cross_entropy(hidden.matmul(head.t()), targets, ignore_index: TrainingStep.Ignored), tensor((float)upstream), hidden, head);

        foreach (var (a, b) in ours.Zip(theirs)) Assert.InRange(Comparison.RelativeError(a, b), 0, 5e-6);
    }

    [Fact]
    public void LinearCrossEntropy_NothingCounts_IsZero()
    {
        using var scope = NewDisposeScope();
        var hidden = randn(4, 3).requires_grad_();
        using var head = new Parameter(randn(5, 3));

        var result = Gradients(LinearCrossEntropy.Loss(hidden, head, full([4], -100, ScalarType.Int64), -100), tensor(1f), hidden, head);

        Assert.All(result, tensor => Assert.Equal(0f, tensor.abs().max().item<float>()));
    }

    [Fact]
    public void LinearCrossEntropy_WithoutGradients_GivesTheSameLoss()
    {
        using var scope = NewDisposeScope();
        var (hidden, targets) = (randn(40, 3), randint(0, 5, [40], dtype: ScalarType.Int64));
        using var head = new Parameter(randn(5, 3));

        float withGradients = LinearCrossEntropy.Loss(hidden, head, targets, -100).item<float>();
        using var ungraded = no_grad();

        Assert.Equal(withGradients, LinearCrossEntropy.Loss(hidden, head, targets, -100).item<float>());
    }

    private static Tensor[] Gradients(Tensor output, Tensor upstream, Tensor input, Parameter parameter)
    {
        (input.grad, parameter.grad) = (null, null);
        GuardedBackward.Run((output * upstream).sum());
        return [output.detach(), input.grad!.clone(), parameter.grad!.clone()];
    }
}
