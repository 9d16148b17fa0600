using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>
/// What files that are not in a family's usual names call the tensors outside of MoE layers: each name, what it becomes, and where the numbers are
/// in another order what puts them right.
/// </summary>
internal sealed record TensorNames
{
    // what the names of a module's tensors end in; the rest is the module's name
    private static readonly string[] Endings = [QuantizedNames.Weight, ".bias"];

    /// <summary>Names of the whole model; a module's without <c>.weight</c>.</summary>
    public IReadOnlyList<TensorRule> Model { get; init; } = [];

    /// <summary>Names in a layer, after its prefix, and what they become after the prefix of the family's layers.</summary>
    public IReadOnlyList<TensorRule> Layer { get; init; } = [];

    /// <summary>What must be said of a whole model that cannot be converted, besides the names of its tensors.</summary>
    public string? Missing { get; init; }

    /// <summary>These names, with others added or in place of them.</summary>
    public TensorNames With(params TensorRule[] layer) => this with { Layer = [.. Layer.ExceptBy(layer.Select(rule => rule.From), rule => rule.From), .. layer] };

    /// <summary>The tensors outside of MoE layers as the family's usual files have them, each with the source's tensor that it comes in the place of.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="isOther">Whether a tensor is none of a MoE layer, and to be converted.</param>
    /// <exception cref="CheckpointException">Tensors are not known; one message lists them all.</exception>
    public Dictionary<string, List<SourceTensor>> Read(MoeCheckpoint source, Func<string, bool> isOther)
    {
        var read = new Dictionary<string, List<SourceTensor>>();
        var unknown = new OrderedDictionary<string, int>();
        var taken = new HashSet<string>();
        foreach (string tensor in source.Tensors.Tensors.Keys.Where(isOther))
        {
            bool isKnown = TryRead(source, tensor, out var tensors, out string pattern);
            if (isKnown) read.Add(tensor, tensors);
            else unknown[pattern] = unknown.GetValueOrDefault(pattern) + 1;
            taken.UnionWith(tensors.SelectMany(made => made.From));
        }

        foreach (string tensor in read.Where(entry => entry.Value.Count == 0 && !taken.Contains(entry.Key)).Select(entry => entry.Key)) unknown.Add(tensor, 1);
        if (unknown.Count == 0) return read;

        string[] faults = [.. unknown.Select(entry => $"There is no name in files of {source.Family.Name} for tensor {TensorName.Quote(entry.Key)}{(entry.Value > 1 ? string.Create(CultureInfo.InvariantCulture, $" of {entry.Value} layers") : "")}.")];
        throw CheckpointException.Listing(source.Path, [.. faults, $"{(Missing is null ? "" : $"{Missing} ")}MoE layers alone can be converted: name them."]);
    }

    private bool TryRead(MoeCheckpoint source, string tensor, out List<SourceTensor> tensors, out string pattern)
    {
        tensors = [];
        bool isOfLayer = source.Place.TryParse(tensor, out int layer, out var rest);
        string name = isOfLayer ? rest.ToString() : tensor, prefix = isOfLayer ? source.Target.PrefixOf(layer) : "";
        pattern = isOfLayer ? source.Place.Prefix + name : name;
        var (rules, ending) = Find(isOfLayer ? Layer : Model, name);
        foreach (var rule in rules.Where(rule => rule.To is not null))
        {
            var stored = SourceTensor.Of(source.Tensors, tensor);
            var made = stored.Matrices.Count > 0 ? rule.Change(new(source, source.Place.PrefixOf(layer), ending), stored) : null;      // codes without their scales are none
            if (made is null) return false;

            tensors.Add(made.As($"{prefix}{rule.To}{ending}"));
        }

        return rules.Length > 0;
    }

    private static (TensorRule[] Rules, string Ending) Find(IReadOnlyList<TensorRule> rules, string name)
    {
        TensorRule[] whole = [.. rules.Where(rule => rule.From == name)];
        if (whole.Length > 0) return (whole, "");

        string ending = Array.Find(Endings, ending => name.EndsWith(ending, StringComparison.Ordinal)) ?? "";
        string module = name[..^ending.Length];
        return ([.. rules.Where(rule => rule.From == module)], ending);
    }
}

/// <summary>The place of a tensor that is renamed.</summary>
/// <param name="Source">The checkpoint.</param>
/// <param name="Prefix">What the names of its layer start with in the source.</param>
/// <param name="Ending">What its name ends in after the module's.</param>
internal readonly record struct TensorPlace(MoeCheckpoint Source, string Prefix, string Ending);

/// <summary>A name, and what it becomes.</summary>
/// <param name="From">The name in the source: a tensor's, or without <c>.weight</c> or <c>.bias</c> a module's.</param>
/// <param name="To">What it becomes, likewise; null for what another tensor takes in.</param>
internal sealed record TensorRule(string From, string? To)
{
    /// <summary>What puts the numbers right; null from it where the shape is not one that it can be done for.</summary>
    public Func<TensorPlace, SourceTensor, SourceTensor?> Change { get; init; } = (_, tensor) => tensor;

    /// <summary>Rules without changes.</summary>
    public static IEnumerable<TensorRule> Plain(params (string From, string To)[] names) => names.Select(name => new TensorRule(name.From, name.To));
}
