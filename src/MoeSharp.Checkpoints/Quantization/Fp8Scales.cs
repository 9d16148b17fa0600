namespace MoeSharp.Checkpoints;

/// <summary>What a scale of an FP8 weight is for.</summary>
public enum Fp8Scales
{
    /// <summary>The whole tensor.</summary>
    Tensor,

    /// <summary>An output.</summary>
    Channel,

    /// <summary>A block of outputs and inputs.</summary>
    Block,

    /// <summary>The whole tensor, an output, or the gate or up half of a fused tensor: their number says which. Never a block.</summary>
    TensorOrChannel,
}
