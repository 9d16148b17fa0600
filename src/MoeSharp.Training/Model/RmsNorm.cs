using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467): x / sqrt(mean(x²) + epsilon) · weight, in float32.</summary>
internal sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly Parameter _weight;
    private readonly double _epsilon;

    public RmsNorm(long size, double epsilon)
        : base(nameof(RmsNorm))
    {
        _weight = new Parameter(ones(size));
        _weight.DetachFromDisposeScope();
        _epsilon = epsilon;
        RegisterComponents();
    }

    /// <summary>The learned scale [size].</summary>
    public Parameter Weight => _weight;

    /// <summary>Normalises the last dimension of <paramref name="input"/> [..., size]; the result is float32.</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var x = input.to(ScalarType.Float32);
        var y = is_grad_enabled() ? RmsNormFunction.apply(x, _weight, _epsilon)[0] : RmsNormFunction.Normalize(x, _weight, _epsilon);
        return y.MoveToOuterDisposeScope();
    }
}
