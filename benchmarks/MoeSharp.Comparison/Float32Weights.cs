using MoeSharp.Cli;
using static TorchSharp.torch;

namespace MoeSharp.Comparison;

/// <summary>Weights of com.microsoft.MoE: gate and up row by row in one tensor [E, 2 H, D], and the layer's own down [E, D, H].</summary>
internal sealed class Float32Weights : IMoeWeights
{
    private readonly Tensor _gateAndUp, _down;

    public Float32Weights(MeasuredLayer layer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _gateAndUp = stack([layer.Experts.Gate, layer.Experts.Up], 2).flatten(1, 2).DetachFromDisposeScope();
        _down = layer.Experts.Down;
    }

    public string Operator => "MoE";

    public IReadOnlyList<string> Inputs => ["gate_and_up", "", "down"];

    public IReadOnlyList<(string Name, long Value)> Attributes => [];

    public IReadOnlyList<(string Name, Tensor Values)> Initializers => [("gate_and_up", _gateAndUp), ("down", _down)];

    public void Dispose() => _gateAndUp.Dispose();
}
