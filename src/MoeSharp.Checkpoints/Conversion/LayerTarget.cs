namespace MoeSharp.Checkpoints;

/// <summary>Where a conversion puts a MoE layer: a layout of the family, and one of its ways of storing experts.</summary>
/// <param name="Layout">The names of everything.</param>
/// <param name="Experts">The way of the experts.</param>
/// <param name="Shared">The way of the shared expert; null to leave it as it is.</param>
internal sealed record LayerTarget(LayerLayout Layout, IReadOnlyList<StoredWeight> Experts, IReadOnlyList<StoredWeight>? Shared)
{
    /// <summary>The target of a layer of a checkpoint.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="layout">The layout that is asked for.</param>
    /// <param name="dequantizes">Whether the experts must end as plain numbers.</param>
    /// <exception cref="CheckpointException">Files of the family have no such form.</exception>
    public static LayerTarget Find(MoeCheckpoint source, StoredMoeLayer layer, ExpertLayout layout, bool dequantizes)
    {
        var (place, published) = (source.Place.Layout, source.Family.Layouts[0]);
        bool isBlocks = layer.ExpertWay.Any(weight => weight.IsBlocks), keepsBlocks = isBlocks && !dequantizes;
        bool isPublished = isBlocks && place == published;       // blocks are as published; plain numbers are as near as can be
        return layout switch
        {
            ExpertLayout.Fused => Fused(source),
            ExpertLayout.Keep when source.Names is null => isBlocks && dequantizes ? Fused(source) : new(place, layer.ExpertWay, layer.SharedWay),
            _ when isPublished && keepsBlocks => new(place, layer.ExpertWay, layer.SharedWay),
            _ => In(published, published.Experts.FirstOrDefault(way => keepsBlocks && way.Any(weight => weight.IsBlocks)) ?? published.Experts[0]),
        };
    }

    // what transformers 5 holds in memory is each family's last layout of stacked experts; makers' own files let their rows follow each other
    private static LayerTarget Fused(MoeCheckpoint source)
    {
        var layouts = source.Family.Layouts.Reverse().SelectMany(layout => layout.Experts, (layout, way) => (Layout: layout, Way: way)).ToArray();
        foreach (var axis in (ReadOnlySpan<ExpertAxis>)[ExpertAxis.Stacked, ExpertAxis.Folded])
        {
            var found = Array.Find(layouts, entry => entry.Way.All(weight => weight.Axis == axis && !weight.IsBlocks));
            if (found.Way is not null) return In(found.Layout, found.Way);
        }

        throw new CheckpointException(source.Path, $"Files of {source.Family.Name} have no fused form: their experts are stored one by one. Choose another layout.");
    }

    private static LayerTarget In(LayerLayout layout, StoredWeight[] experts) => new(layout, experts, layout.Shared.Count > 0 ? layout.Shared[0] : null);
}
