using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>A quantized weight of a checkpoint: one matrix, or one for each expert where the experts are stacked.</summary>
/// <param name="Name">The name of the tensor that holds the codes.</param>
/// <param name="Shape">The shape of the decoded weight: [outputs, inputs], or [experts, outputs, inputs].</param>
/// <param name="Matrices">The matrices: one, or one for each expert.</param>
/// <param name="Warnings">What is odd but can be decoded, a sentence each; empty as a rule.</param>
[DebuggerDisplay("{Name}: {Format}")]
public sealed record QuantizedWeight(string Name, IReadOnlyList<long> Shape, IReadOnlyList<WeightMatrix> Matrices, IReadOnlyList<string> Warnings)
{
    /// <summary>The format in words.</summary>
    public string Format => Matrices.Count > 0 ? Matrices[0].Format : "none";
}
