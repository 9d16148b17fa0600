namespace MoeSharp.Checkpoints;

/// <summary>How far a conversion or its proof is.</summary>
/// <param name="Bytes">Bytes that are done, of files that were there from a run before too.</param>
/// <param name="TotalBytes">Bytes of all tensors.</param>
/// <param name="Tensor">The tensor at work.</param>
public readonly record struct ConversionProgress(long Bytes, long TotalBytes, string Tensor);

/// <summary>What a conversion wrote.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Files">The files with weights, in order.</param>
/// <param name="Tensors">The number of tensors.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="IsDequantized">Whether quantized weights became plain ones.</param>
public sealed record ConversionSummary(string Path, IReadOnlyList<string> Files, int Tensors, long Bytes, bool IsDequantized)
{
    /// <summary>The files that a run before had finished.</summary>
    public required int FilesBefore { get; init; }

    /// <summary>What the source has and the target has not, a sentence each; empty as a rule.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
