using static TorchSharp.torch;
using Functional = TorchSharp.torch.nn.functional;

namespace MoeSharp.Training;

/// <summary>The gated MLP of a dense layer: down(silu(gate(x)) ⊙ up(x)).</summary>
internal sealed class DenseMlp : nn.Module<Tensor, Tensor>
{
    private readonly Projection _gate, _up, _down;

    public DenseMlp(int hiddenSize, int intermediateSize)
        : base(nameof(DenseMlp))
    {
        _gate = new Projection(hiddenSize, intermediateSize, hasBias: false);
        _up = new Projection(hiddenSize, intermediateSize, hasBias: false);
        _down = new Projection(intermediateSize, hiddenSize, hasBias: false);
        RegisterComponents();
    }

    public Projection Gate => _gate;

    public Projection Up => _up;

    public Projection Down => _down;

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return _down.call(Functional.silu(_gate.call(input)) * _up.call(input)).MoveToOuterDisposeScope();
    }
}
