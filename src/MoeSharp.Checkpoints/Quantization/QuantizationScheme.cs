namespace MoeSharp.Checkpoints;

/// <summary>How a config says that weights are quantized. What it leaves open, the tensors' shapes decide.</summary>
public abstract record QuantizationScheme
{
    private QuantizationScheme()
    {
    }

    /// <summary>FP8 with scales for blocks, for channels, or one for the tensor.</summary>
    /// <param name="Scales">What a scale is for; null where the config does not say.</param>
    /// <param name="BlockRows">Rows of a block; for blocks alone.</param>
    /// <param name="BlockColumns">Columns of a block; for blocks alone.</param>
    /// <remarks>Experts may be MXFP4 in bytes instead, as in DeepSeek-V4: their tensors say so.</remarks>
    public sealed record Fp8(Fp8Scales? Scales, int BlockRows = 128, int BlockColumns = 128) : QuantizationScheme;

    /// <summary>E2M1 in groups of 32 with exponents for scales.</summary>
    public sealed record Mxfp4 : QuantizationScheme;

    /// <summary>E4M3 in groups of 32 with exponents for scales.</summary>
    public sealed record Mxfp8 : QuantizationScheme;

    /// <summary>E2M1 in groups of 16 with E4M3 scales and a scale for the tensor; its name tells which dialect a file speaks.</summary>
    public sealed record Nvfp4 : QuantizationScheme;

    /// <summary>compressed-tensors <c>pack-quantized</c>: whole numbers in 32-bit words.</summary>
    /// <param name="Bits">2, 4 or 8.</param>
    /// <param name="GroupSize">Inputs of a group; null for one scale per channel.</param>
    /// <param name="IsSymmetric">Whether there are no zero points.</param>
    public sealed record PackedInteger(int Bits, int? GroupSize, bool IsSymmetric) : QuantizationScheme;

    /// <summary>compressed-tensors <c>int-quantized</c>: signed bytes.</summary>
    /// <param name="GroupSize">Inputs of a group; null for a scale per channel or tensor.</param>
    /// <param name="IsSymmetric">Whether there are no zero points.</param>
    public sealed record Integer8(int? GroupSize, bool IsSymmetric) : QuantizationScheme;

    /// <summary>GPTQ.</summary>
    /// <param name="Bits">2, 4 or 8.</param>
    /// <param name="GroupSize">Inputs of a group; null for all.</param>
    /// <param name="IsVersion1">Whether stored zero points are less one.</param>
    public sealed record Gptq(int Bits, int? GroupSize, bool IsVersion1) : QuantizationScheme
    {
        /// <summary>Whether activation order says which group an input is of, so that there must be a <c>g_idx</c>.</summary>
        public bool HasGroupIndex { get; init; }
    }

    /// <summary>AWQ in the gemm layout, of 4 bits.</summary>
    /// <param name="GroupSize">Inputs of a group; null for all.</param>
    public sealed record Awq(int? GroupSize) : QuantizationScheme;

    /// <summary>bitsandbytes.</summary>
    /// <param name="Kind">nf4, fp4 or int8.</param>
    public sealed record BitsAndBytes(BitsAndBytesKind Kind) : QuantizationScheme;

    /// <summary>Blocks of a type of GGUF.</summary>
    /// <param name="Type">The type.</param>
    public sealed record Gguf(GgufType Type) : QuantizationScheme;
}
