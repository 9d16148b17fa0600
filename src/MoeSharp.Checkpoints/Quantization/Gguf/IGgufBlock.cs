namespace MoeSharp.Checkpoints;

/// <summary>A type of GGUF: how a block of numbers of a row lies in bytes. The formulas and their order of rounding are those of gguf-py 0.19.</summary>
internal interface IGgufBlock
{
    /// <summary>The name of the type, such as <c>Q4_K</c>.</summary>
    static abstract string Name { get; }

    /// <summary>Numbers in a block.</summary>
    static abstract int Length { get; }

    /// <summary>Bytes of a block.</summary>
    static abstract int ByteCount { get; }

    /// <summary>One number, by the formula.</summary>
    static abstract float Value(ReadOnlySpan<byte> block, int index);

    /// <summary>All numbers of a block, or of a run of blocks of one number: to the same bits.</summary>
    static abstract void Decode(ReadOnlySpan<byte> block, Span<float> to);
}
