namespace MoeSharp.Checkpoints;

/// <summary>What a tensor of a model is for.</summary>
public enum TensorKind
{
    /// <summary>The routed experts of a MoE layer.</summary>
    Experts,

    /// <summary>The expert of a MoE layer that every token passes through, and its gate.</summary>
    SharedExperts,

    /// <summary>The router of a MoE layer: matrix, biases, tables.</summary>
    Routers,

    /// <summary>The MLP of a dense layer, or one beside a MoE layer.</summary>
    DenseMlps,

    /// <summary>Attention, and what stands in its place: state-space layers, convolutions.</summary>
    Attention,

    /// <summary>The token embedding and the output head.</summary>
    Embeddings,

    /// <summary>Norms, and whatever else is part of the language model.</summary>
    Other,

    /// <summary>What is beside the language model and not read: layers that predict several tokens at once, vision, audio.</summary>
    Extras,
}
