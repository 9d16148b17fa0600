namespace MoeSharp;

/// <summary>The panels of some experts for a call without gradient; kept between calls where there is a store, which is left with the disposal.</summary>
internal readonly struct FusedPanels(ExpertMatrices matrices, PanelStore? store) : IDisposable
{
    /// <summary>Where the pass finds them.</summary>
    public PanelSource Source { get; } = store?.Of(matrices) ?? matrices;

    /// <summary>Leaves the store.</summary>
    public void Dispose() => store?.Leave();
}
