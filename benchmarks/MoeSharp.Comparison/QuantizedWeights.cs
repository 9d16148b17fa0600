using MoeSharp.Cli;
using static TorchSharp.torch;

namespace MoeSharp.Comparison;

/// <summary>
/// Weights of com.microsoft.QMoE: unsigned integers of 4 bits (an even column in the low half of a byte) or 8, one float32 scale for each
/// <see cref="Block"/> columns of a row, no zero points. Blocks and constant scales are what its fast kernels on the CPU ask for.
/// </summary>
internal sealed class QuantizedWeights : IMoeWeights
{
    public const int Block = 32;

    // what MatMulNBits calls it: activations quantized to 8 bits too
    private const int IntegerProducts = 4;

    private readonly int _bits;
    private readonly bool _integerProducts;
    private readonly BlockQuantization _gateAndUp, _down;

    /// <param name="layer">The float32 weights.</param>
    /// <param name="bits">4 or 8.</param>
    /// <param name="integerProducts">Whether activations are quantized; with 8 bits they always are.</param>
    public QuantizedWeights(MeasuredLayer layer, int bits, bool integerProducts)
    {
        (_bits, _integerProducts) = (bits, integerProducts);
        _gateAndUp = new BlockQuantization([layer.Experts.Gate, layer.Experts.Up], bits, Block);
        _down = new BlockQuantization([layer.Experts.Down], bits, Block);
    }

    public string Operator => "QMoE";

    public IReadOnlyList<string> Inputs => ["gate_and_up", "gate_and_up_scales", "", "down", "down_scales"];

    public IReadOnlyList<(string Name, long Value)> Attributes =>
        [("expert_weight_bits", _bits), ("block_size", Block), .. _integerProducts ? [("accuracy_level", IntegerProducts)] : Array.Empty<(string, long)>()];

    public IReadOnlyList<(string Name, Tensor Values)> Initializers =>
        [("gate_and_up", _gateAndUp.Values), ("gate_and_up_scales", _gateAndUp.Scales), ("down", _down.Values), ("down_scales", _down.Scales)];

    public void Dispose()
    {
        _gateAndUp.Dispose();
        _down.Dispose();
    }
}
