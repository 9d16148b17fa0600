namespace MoeSharp.Checkpoints;

/// <summary>
/// A family of models as data: what its <c>config.json</c> means, and where its files keep the parameters of MoE layers. A family is one file in
/// <c>Families/Known</c>.
/// </summary>
internal sealed record ModelFamily
{
    /// <summary>The <c>model_type</c>s of its configs, the family's own name first.</summary>
    public required IReadOnlyList<string> ModelTypes { get; init; }

    /// <summary>From the keys of a config to the model.</summary>
    public required Func<FamilyConfig, ModelDescription> Describe { get; init; }

    /// <summary>The ways in which files of the family keep a layer.</summary>
    public required IReadOnlyList<LayerLayout> Layouts { get; init; }

    /// <summary>How GGUF files hold the config; empty where there are none of the family.</summary>
    public IReadOnlyList<GgufFamily> Gguf { get; init; } = [];

    /// <summary>The maker's own files: what stands before the names of their layers, and their other names; null where there are none.</summary>
    public (string Prefix, TensorNames Names)? Native { get; init; }

    /// <summary>The family's name.</summary>
    public string Name => ModelTypes[0];
}
