namespace MoeSharp.Checkpoints;

/// <summary>The number types of bitsandbytes.</summary>
public enum BitsAndBytesKind
{
    /// <summary>Sixteen quantiles of the normal distribution.</summary>
    Nf4,

    /// <summary>Floats of four bits.</summary>
    Fp4,

    /// <summary>Signed bytes, a scale per output.</summary>
    Int8,
}
