namespace MoeSharp.Checkpoints;

/// <summary>What a model is, by its <c>config.json</c>: every MoE layer in full, and of the rest the sizes. Whatever the family, in the same terms.</summary>
public sealed record ModelDescription
{
    /// <summary>The family: its name as a <c>model_type</c>, such as <c>qwen3_moe</c>.</summary>
    public required string Family { get; init; }

    /// <summary>The number V of tokens in the vocabulary.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width D of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The MLP of each layer, first to last: dense, or a Mixture of Experts in full.</summary>
    public required IReadOnlyList<MlpOptions> Layers { get; init; }

    /// <summary>The sizes of the attention.</summary>
    public required AttentionShape Attention { get; init; }

    /// <summary>The normalisation in front of each block.</summary>
    public required NormShape Norm { get; init; }

    /// <summary>Whether the output head is the token embedding, which such a file holds once.</summary>
    public bool TieEmbeddings { get; init; }

    /// <summary>How weights are quantized; null where the config does not say, or they are not.</summary>
    public QuantizationConfig? Quantization { get; init; }

    /// <summary>
    /// The layers whose MoE parameters are all that the folder holds, as a conversion of some layers writes it (key <c>moesharp_layers</c>);
    /// null for a whole model.
    /// </summary>
    public IReadOnlyList<int>? HeldLayers { get; init; }

    /// <summary>What a layer computes that is a Mixture of Experts.</summary>
    internal MoeOptions Moe(int layer) => ((MlpOptions.Sparse)Layers[layer]).Moe;

    /// <summary>The MoE layers that the folder holds.</summary>
    internal IEnumerable<int> HeldMoeLayers => MoeLayers.Where(layer => HeldLayers is null || HeldLayers.Contains(layer));

    /// <summary>The indices of the layers that are a Mixture of Experts.</summary>
    public IEnumerable<int> MoeLayers => Layers.Index().Where(layer => layer.Item is MlpOptions.Sparse).Select(layer => layer.Index);
}

/// <summary>The sizes of an attention.</summary>
/// <param name="HeadCount">Query heads.</param>
/// <param name="KeyValueHeadCount">Key and value heads.</param>
/// <param name="HeadSize">The width of a head; null where the config leaves it to the other sizes or it differs between layers.</param>
public sealed record AttentionShape(int HeadCount, int KeyValueHeadCount, int? HeadSize)
{
    /// <summary>The rank that keys and values are compressed to (multi-head latent attention, DeepSeek-V2, arXiv:2405.04434); null for none.</summary>
    public int? LatentRank { get; init; }

    /// <summary>The kind of each layer's attention (or of what stands in its place) in the config's own words; empty where all are full attention.</summary>
    public IReadOnlyList<string> LayerKinds { get; init; } = [];
}

/// <summary>A normalisation.</summary>
/// <param name="Kind">Which one.</param>
/// <param name="Epsilon">Added under the root; above 0.</param>
public sealed record NormShape(NormKind Kind, double Epsilon);

/// <summary>Which normalisation.</summary>
public enum NormKind
{
    /// <summary>x / rms(x) · w.</summary>
    Rms,

    /// <summary>x / rms(x) · (1 + w).</summary>
    RmsPlusOne,

    /// <summary>(x − mean) / deviation · w + b.</summary>
    LayerNorm,

    /// <summary>(x − mean) / deviation · w.</summary>
    LayerNormWithoutBias,
}
