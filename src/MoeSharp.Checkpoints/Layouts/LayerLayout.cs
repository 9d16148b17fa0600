namespace MoeSharp.Checkpoints;

/// <summary>
/// Where a family keeps the parameters of a MoE layer: the names of tensors after the layer's prefix. Parameters that the options of a layer
/// do not have are not looked for.
/// </summary>
internal sealed record LayerLayout
{
    /// <summary>Prefixes that many families have.</summary>
    public static IReadOnlyList<string> UsualPrefixes { get; } = ["model.layers.{l}.", "model.language_model.layers.{l}.", "language_model.model.layers.{l}.", "language_model.layers.{l}.", "layers.{l}."];

    /// <summary>What stands before the names, <c>{l}</c> for the layer. Wrappers of several modalities put more in front.</summary>
    public IReadOnlyList<string> Prefixes { get; init; } = UsualPrefixes;

    /// <summary>The router's matrix [E, D], without <c>.weight</c>.</summary>
    public required string Router { get; init; }

    /// <summary>Whether the router's matrix is stored [D, E].</summary>
    public bool IsRouterTransposed { get; init; }

    /// <summary>The bias of the logits [E].</summary>
    public string? LogitBias { get; init; }

    /// <summary>The bias of the selection [E].</summary>
    public string? CorrectionBias { get; init; }

    /// <summary>Whether files of the family have it as a row [1, E]; both are read.</summary>
    public bool IsCorrectionBiasRow { get; init; }

    /// <summary>What quantile balancing takes off the logits [E].</summary>
    public string? QuantileBias { get; init; }

    /// <summary>The factors of the weights [E].</summary>
    public string? PerExpertScale { get; init; }

    /// <summary>The scale of what the router reads [D].</summary>
    public string? InputScale { get; init; }

    /// <summary>The experts of each token id [V, K].</summary>
    public string? TokenTable { get; init; }

    /// <summary>The ways in which the experts may be stored; one holds for a layer.</summary>
    public required IReadOnlyList<StoredWeight[]> Experts { get; init; }

    /// <summary>The ways in which the shared expert may be stored.</summary>
    public IReadOnlyList<StoredWeight[]> Shared { get; init; } = [];

    /// <summary>The row [1, D] whose sigmoid weights the shared expert, without <c>.weight</c>.</summary>
    public string? SharedRouter { get; init; }

    /// <summary>Tensors that are no part of the layer although their names start as those of its own do: norms before it.</summary>
    public IReadOnlyList<string> Beside { get; init; } = [];

    /// <summary>The tensors of a router, as far as layers have them.</summary>
    public IEnumerable<string> RouterTensors =>
        ((string?[])[Router, $"{Router}{QuantizedNames.Weight}", LogitBias, CorrectionBias, QuantileBias, PerExpertScale, InputScale, TokenTable]).OfType<string>();

    /// <summary>What the names of MoE layers' tensors start with: of such a tensor that is not used, nobody knows what it is for.</summary>
    public IReadOnlyList<string> Scopes => field ??= [.. ScopesOf().Distinct()];

    private IEnumerable<string> ScopesOf()
    {
        var weights = Experts.Concat(Shared).SelectMany(way => way).Select(weight => weight.Name);
        return RouterTensors.Concat(weights).Select(name => name.StartsWith("ffn_", StringComparison.Ordinal) ? name : name[..(name.IndexOf('.', StringComparison.Ordinal) + 1)]);
    }
}

/// <summary>The ways of storing gated MLPs that several families share.</summary>
internal static class Stored
{
    /// <summary>A tensor for each weight of each expert.</summary>
    public static StoredWeight[] PerExpert(string experts, string gate = "gate_proj", string up = "up_proj", string down = "down_proj") =>
        Single($"{experts}.{StoredWeight.ExpertPlace}", gate, up, down);

    /// <summary>A tensor for each weight of one MLP.</summary>
    public static StoredWeight[] Single(string mlp, string gate = "gate_proj", string up = "up_proj", string down = "down_proj") =>
        [new($"{mlp}.{gate}", WeightRole.Gate), new($"{mlp}.{up}", WeightRole.Up), new($"{mlp}.{down}", WeightRole.Down)];

    /// <summary>Gate over up [E, 2H, D], and down [E, D, H].</summary>
    public static StoredWeight[] Fused(string experts, string gateUp = "gate_up_proj", string down = "down_proj", bool isBare = true) =>
    [
        new($"{experts}.{gateUp}", WeightRole.Gate, WeightRole.Up) { Axis = ExpertAxis.Stacked, IsBare = isBare },
        new($"{experts}.{down}", WeightRole.Down) { Axis = ExpertAxis.Stacked, IsBare = isBare },
    ];

    /// <summary>The same with inputs as rows: [E, D, 2H] and [E, H, D].</summary>
    public static StoredWeight[] FusedTransposed(string experts) => [.. Fused(experts).Select(weight => weight with { IsTransposed = true })];

    /// <summary>Gate over up [2H, D], and down [D, H] of one MLP.</summary>
    public static StoredWeight[] FusedSingle(string mlp, string gateUp, string down) =>
        [new($"{mlp}.{gateUp}", WeightRole.Gate, WeightRole.Up), new($"{mlp}.{down}", WeightRole.Down)];
}
