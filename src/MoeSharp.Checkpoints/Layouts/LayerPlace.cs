using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>A layout under one of its prefixes: where the layers of a checkpoint are.</summary>
internal sealed record LayerPlace(LayerLayout Layout, string Prefix)
{
    private const string IndexPlace = "{l}";

    private readonly HashSet<string> _names = [.. Layout.RouterTensors];
    private readonly string[] _experts = [.. Layout.Experts.SelectMany(way => way).Select(weight => weight.Name.Split(StoredWeight.ExpertPlace)[0])];
    private readonly string[] _shared = [.. Layout.Shared.SelectMany(way => way).Select(weight => weight.Name), .. ((string?[])[Layout.SharedRouter]).OfType<string>()];
    private readonly string _router = $"{Layout.Router}.";
    private readonly string _before = Prefix[..Prefix.IndexOf(IndexPlace, StringComparison.Ordinal)];
    private readonly string _after = Prefix[(Prefix.IndexOf(IndexPlace, StringComparison.Ordinal) + IndexPlace.Length)..];

    /// <summary>What the names of a layer start with.</summary>
    public string PrefixOf(int layer) => string.Create(CultureInfo.InvariantCulture, $"{_before}{layer}{_after}");

    /// <summary>The layer that a tensor belongs to, and its name in it; false for tensors of no layer.</summary>
    public bool TryParse(string tensor, out int layer, out string name)
    {
        (layer, name) = (0, "");
        if (!tensor.StartsWith(_before, StringComparison.Ordinal)) return false;

        int end = tensor.IndexOf(_after, _before.Length, StringComparison.Ordinal);
        if (end < 0 || !int.TryParse(tensor.AsSpan(_before.Length, end - _before.Length), NumberStyles.None, CultureInfo.InvariantCulture, out layer)) return false;

        name = tensor[(end + _after.Length)..];
        return true;
    }

    /// <summary>The place that most of a checkpoint's tensors are at; the family's first where none is.</summary>
    public static LayerPlace Find(ModelFamily family, IEnumerable<string> tensors)
    {
        LayerPlace[] places = [.. family.Layouts.SelectMany(layout => layout.Prefixes, (layout, prefix) => new LayerPlace(layout, prefix))];
        var names = tensors as IReadOnlyCollection<string> ?? [.. tensors];
        return places.MaxBy(place => place.CountOf(names))!;       // of equals the first
    }

    /// <summary>Whether a name in a layer is of a MoE layer alone: its router or experts.</summary>
    public bool IsOfMoe(string name) => _names.Contains(name) || IsExperts(name);

    /// <summary>What a name in a layer is for, as far as the layout says: router, experts or shared expert; null for anything else.</summary>
    public TensorKind? KindOf(string name)
    {
        if (IsExperts(name)) return TensorKind.Experts;
        if (Array.Exists(_shared, shared => name.StartsWith(shared, StringComparison.Ordinal))) return TensorKind.SharedExperts;

        return _names.Contains(name) || name.StartsWith(_router, StringComparison.Ordinal) ? TensorKind.Routers : null;
    }

    private bool IsExperts(string name) => Array.Exists(_experts, experts => name.StartsWith(experts, StringComparison.Ordinal));

    private int CountOf(IEnumerable<string> tensors) => tensors.Count(tensor => TryParse(tensor, out _, out string name) && IsOfMoe(name));
}
