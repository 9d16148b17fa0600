using TorchSharp.Modules;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>y = x · weightᵀ (+ bias), in the type of x: float32 parameters are cast for bfloat16 inputs, their gradients stay float32.</summary>
internal sealed class Projection : nn.Module<Tensor, Tensor>
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    public Projection(long inputSize, long outputSize, bool hasBias)
        : base(nameof(Projection))
    {
        _weight = new Parameter(empty(outputSize, inputSize));
        _weight.DetachFromDisposeScope();
        if (hasBias)
        {
            _bias = new Parameter(zeros(outputSize));
            _bias.DetachFromDisposeScope();
        }

        RegisterComponents();
    }

    /// <summary>The matrix [output, input].</summary>
    public Parameter Weight => _weight;

    /// <summary>The bias [output], or null.</summary>
    public Parameter? Bias => _bias;

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return nn.functional.linear(input, _weight.to(input.dtype), _bias?.to(input.dtype)).MoveToOuterDisposeScope();
    }
}
