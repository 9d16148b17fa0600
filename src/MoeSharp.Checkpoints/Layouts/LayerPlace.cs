using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>A layout under one of its prefixes: where the layers of a checkpoint are.</summary>
internal sealed record LayerPlace(LayerLayout Layout, string Prefix)
{
    private const string IndexPlace = "{l}";

    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _names = Layout.RouterTensors.ToHashSet().GetAlternateLookup<ReadOnlySpan<char>>();
    private readonly string[] _experts = [.. Layout.Experts.SelectMany(way => way).Select(weight => weight.Name.Split(StoredWeight.ExpertPlace)[0]).Distinct()];
    private readonly string[] _shared = [.. Layout.Shared.SelectMany(way => way).Select(weight => weight.Name), .. ((string?[])[Layout.SharedRouter]).OfType<string>()];
    private readonly string _router = $"{Layout.Router}.";
    private readonly string _before = Prefix[..Prefix.IndexOf(IndexPlace, StringComparison.Ordinal)];
    private readonly string _after = Prefix[(Prefix.IndexOf(IndexPlace, StringComparison.Ordinal) + IndexPlace.Length)..];

    /// <summary>What the names of a layer start with.</summary>
    public string PrefixOf(int layer) => string.Create(CultureInfo.InvariantCulture, $"{_before}{layer}{_after}");

    /// <summary>The layer that a tensor belongs to, and its name in it; false for tensors of no layer.</summary>
    public bool TryParse(ReadOnlySpan<char> tensor, out int layer, out ReadOnlySpan<char> name)
    {
        layer = 0;
        name = [];
        if (!tensor.StartsWith(_before)) return false;

        var rest = tensor[_before.Length..];
        int end = rest.IndexOf(_after);
        if (end < 0 || !int.TryParse(rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out layer)) return false;

        name = rest[(end + _after.Length)..];
        return true;
    }

    /// <summary>The place that most of a checkpoint's tensors are at; the family's first where none is.</summary>
    /// <param name="family">The family.</param>
    /// <param name="tensors">The names of the checkpoint's tensors.</param>
    /// <param name="layerCount">The number of the model's layers; later ones, which predict several tokens at once, may have other names.</param>
    public static LayerPlace Find(ModelFamily family, IEnumerable<string> tensors, int layerCount)
    {
        LayerPlace[] places = [.. family.Layouts.SelectMany(layout => layout.Prefixes, (layout, prefix) => new LayerPlace(layout, prefix))];
        int[] counts = new int[places.Length];
        foreach (string tensor in tensors)
        {
            for (int i = 0; i < places.Length; i++)
            {
                if (places[i].TryParse(tensor, out int layer, out var name) && layer < layerCount && places[i].IsOfMoe(name)) counts[i]++;
            }
        }

        return places[Array.IndexOf(counts, counts.Max())];     // of equals the first
    }

    /// <summary>Whether a name in a layer is of a MoE layer alone: its router or experts.</summary>
    public bool IsOfMoe(ReadOnlySpan<char> name) => _names.Contains(name) || IsExperts(name);

    /// <summary>What a name in a layer is for, as far as the layout says: router, experts or shared expert; null for anything else.</summary>
    public TensorKind? KindOf(ReadOnlySpan<char> name)
    {
        if (IsExperts(name)) return TensorKind.Experts;
        if (StartsWithAny(name, _shared)) return TensorKind.SharedExperts;

        return _names.Contains(name) || name.StartsWith(_router) ? TensorKind.Routers : null;
    }

    private bool IsExperts(ReadOnlySpan<char> name) => StartsWithAny(name, _experts);

    private static bool StartsWithAny(ReadOnlySpan<char> name, string[] starts)
    {
        foreach (string start in starts)
        {
            if (name.StartsWith(start)) return true;
        }

        return false;
    }
}
