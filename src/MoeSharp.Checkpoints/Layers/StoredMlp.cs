namespace MoeSharp.Checkpoints;

/// <summary>
/// The weights of one gated MLP of a checkpoint, an expert or a shared one, as they are meant, however they are stored: gate and up [H, D], down
/// [D, H]. Nothing is read before it is decoded.
/// </summary>
/// <param name="Gate">The gate projection [H, D].</param>
/// <param name="Up">The up projection [H, D].</param>
/// <param name="Down">The down projection [D, H].</param>
public sealed record StoredMlp(WeightMatrix Gate, WeightMatrix Up, WeightMatrix Down)
{
    /// <summary>The biases of gate [H], up [H] and down [D]; null for none.</summary>
    public StoredBiases? Biases { get; init; }

    /// <summary>The matrix of a role.</summary>
    internal WeightMatrix Of(WeightRole role) => role switch { WeightRole.Gate => Gate, WeightRole.Up => Up, _ => Down };
}

/// <summary>The biases of an expert.</summary>
/// <param name="Gate">[H].</param>
/// <param name="Up">[H].</param>
/// <param name="Down">[D].</param>
public sealed record StoredBiases(IReadOnlyList<float> Gate, IReadOnlyList<float> Up, IReadOnlyList<float> Down);
