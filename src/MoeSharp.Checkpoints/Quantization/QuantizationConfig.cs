using System.Text.Json;

namespace MoeSharp.Checkpoints;

/// <summary>
/// What the <c>quantization_config</c> of a <c>config.json</c> says. Read strictly: a method, a format or an option that would change the
/// weights and is not supported is named, never ignored.
/// </summary>
public sealed record QuantizationConfig
{
    private readonly ModuleNames _notConverted = new([]);

    /// <summary>The <c>quant_method</c>, such as <c>fp8</c>.</summary>
    public required string Method { get; init; }

    /// <summary>What is quantized how. Of groups that hold a module, one that names it counts before one with a pattern, and that before one for all; of equals the first.</summary>
    public required IReadOnlyList<QuantizationGroup> Groups { get; init; }

    /// <summary>Modules that are not quantized: names, ends of names, or patterns.</summary>
    public IReadOnlyList<string> NotConverted { get => _notConverted.Names; init => _notConverted = new(value); }

    /// <summary>Reads a <c>quantization_config</c>.</summary>
    /// <param name="json">The object.</param>
    /// <param name="file">The file it is from, for messages.</param>
    /// <exception cref="CheckpointException">It is not one, or asks for what is not supported; one message lists all faults.</exception>
    public static QuantizationConfig Read(JsonElement json, string file) => ConfigReader.Read(file, json, "quantization_config", QuantizationConfigReader.Read, out _);

    /// <summary>How the weights of a module are quantized; null where they are not.</summary>
    /// <param name="module">Its name, such as <c>model.layers.0.mlp.experts.3.gate_proj</c>.</param>
    /// <exception cref="MoeException">A pattern takes too long to match.</exception>
    public QuantizationScheme? SchemeOf(string module)
    {
        ArgumentNullException.ThrowIfNull(module);

        return IsConverted(module) ? Groups.Select(group => (group.Scheme, Rank: group.RankOf(module))).Where(group => group.Rank is not null).MinBy(group => group.Rank).Scheme : null;
    }

    /// <summary>Whether a module is quantized at all: none of <see cref="NotConverted"/> names it.</summary>
    public bool IsConverted(string module)
    {
        ArgumentNullException.ThrowIfNull(module);

        return !_notConverted.Match(module);
    }
}

/// <summary>Modules that are quantized alike.</summary>
/// <param name="Targets"><c>Linear</c> for all, names, or patterns after <c>re:</c>; none for all.</param>
/// <param name="Scheme">How.</param>
public sealed record QuantizationGroup(IReadOnlyList<string> Targets, QuantizationScheme Scheme)
{
    private readonly ModuleNames _targets = new(Targets);

    /// <summary><c>Linear</c> for all, names, or patterns after <c>re:</c>; none for all.</summary>
    public IReadOnlyList<string> Targets { get => _targets.Names; init => _targets = new(value); }

    /// <summary>How well a module is meant, the least best; null for not at all.</summary>
    internal int? RankOf(string module) =>
        _targets.MatchPlain(module) ? 0 : _targets.MatchPattern(module) ? 1 : Targets.Count == 0 || Targets.Contains("Linear") ? 2 : null;
}
