namespace MoeSharp;

/// <summary>The weights of a layer's shared expert, packed once.</summary>
internal sealed unsafe class SharedWeights : ILayerPart, IDisposable
{
    private readonly ExpertPanels _panels;
    private readonly AlignedMemory? _router;
    private readonly LoadedExperts _loaded = new(1, "weights");

    /// <summary>Allocates room.</summary>
    /// <param name="options">A layer with a shared expert.</param>
    /// <param name="shared">The expert.</param>
    /// <param name="type">What the products read.</param>
    public SharedWeights(MoeOptions options, SharedExpertOptions shared, TileType type)
    {
        _panels = new ExpertPanels(new ExpertShape(options.HiddenSize, shared.IntermediateSize, type), 1, hasBias: false);
        if (shared.IsGated) _router = new AlignedMemory(options.HiddenSize * sizeof(float), "the router of the shared expert");
        Panels = new SharedPanels(_panels, GatedEpilogue.Create(options.Experts.Activation, shared.Limit), _router is null ? null : (float*)_router.Start);
    }

    /// <summary>What a pass reads.</summary>
    public SharedPanels Panels { get; }

    /// <summary>The bytes of panels and router.</summary>
    public long Bytes => _panels.Bytes + (_router?.Length ?? 0);

    /// <inheritdoc/>
    public string? Missing => _loaded.AreAll ? null : "the shared expert has no weights yet";

    /// <summary>Packs the weights, whose sizes were checked.</summary>
    /// <typeparam name="T">float, or ushort for the bits of bfloat16.</typeparam>
    /// <exception cref="InvalidOperationException">Another call is loading them.</exception>
    public void Load<T>(ReadOnlySpan<T> gate, ReadOnlySpan<T> up, ReadOnlySpan<T> down, ReadOnlySpan<float> router)
        where T : unmanaged
    {
        _loaded.Begin(0);
        fixed (T* g = gate, u = up, d = down) _panels.Pack(0, g, u, d);
        if (_router is not null) router.CopyTo(new((float*)_router.Start, router.Length));
        _loaded.End(0);
    }

    public void Dispose()
    {
        _panels.Dispose();
        _router?.Dispose();
    }
}
