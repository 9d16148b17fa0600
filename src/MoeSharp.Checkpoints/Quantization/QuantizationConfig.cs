using System.Text.Json;
using System.Text.RegularExpressions;

namespace MoeSharp.Checkpoints;

/// <summary>
/// What the <c>quantization_config</c> of a <c>config.json</c> says. Read strictly: a method, a format or an option that would change the
/// weights and is not supported is named, never ignored.
/// </summary>
public sealed record QuantizationConfig
{
    private static readonly TimeSpan PatternTime = TimeSpan.FromSeconds(1);     // patterns come out of files

    /// <summary>The <c>quant_method</c>, such as <c>fp8</c>.</summary>
    public required string Method { get; init; }

    /// <summary>What is quantized how, the first match counting.</summary>
    public required IReadOnlyList<QuantizationGroup> Groups { get; init; }

    /// <summary>Modules that are not quantized: names, ends of names, or patterns.</summary>
    public IReadOnlyList<string> NotConverted { get; init; } = [];

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

        return IsConverted(module) ? Groups.FirstOrDefault(group => group.Targets.Count == 0 || group.Targets.Any(target => target == "Linear" || Names(target, module)))?.Scheme : null;
    }

    /// <summary>Whether a module is quantized at all: none of <see cref="NotConverted"/> names it.</summary>
    public bool IsConverted(string module)
    {
        ArgumentNullException.ThrowIfNull(module);

        return !NotConverted.Any(name => Names(name, module));
    }

    /// <summary>
    /// As the libraries match: <c>re:</c> and a pattern for the start of the name; the name itself or a module around it; the last parts of
    /// the name; or a pattern with <c>*</c> for anything.
    /// </summary>
    private static bool Names(string name, string module)
    {
        if (name.StartsWith("re:", StringComparison.Ordinal)) return Matches(name[3..], module);
        if (name.Contains('*', StringComparison.Ordinal)) return Matches(Regex.Escape(name).Replace("\\*", ".*", StringComparison.Ordinal) + "(\\.|$)", module);

        return module == name || module.StartsWith($"{name}.", StringComparison.Ordinal) || module.EndsWith($".{name}", StringComparison.Ordinal);
    }

    private static bool Matches(string pattern, string module)
    {
        try
        {
            return Regex.IsMatch(module, $"^(?:{pattern})", RegexOptions.CultureInvariant, PatternTime);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new MoeException($"The pattern {TensorName.Quote(pattern)} of the quantization_config takes more than {PatternTime.TotalSeconds} s to match; simplify it.", e);
        }
    }
}

/// <summary>Modules that are quantized alike.</summary>
/// <param name="Targets"><c>Linear</c> for all, names, or patterns after <c>re:</c>; none for all.</param>
/// <param name="Scheme">How.</param>
public sealed record QuantizationGroup(IReadOnlyList<string> Targets, QuantizationScheme Scheme);
