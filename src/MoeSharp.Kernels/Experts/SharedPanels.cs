namespace MoeSharp;

/// <summary>The expert that every token passes through, as a forward pass reads it.</summary>
/// <param name="source">Its panels, as those of one expert; as wide as the tokens, and of the type of the routed experts' products.</param>
/// <param name="epilogue">Its activation, with a clamp of its own.</param>
/// <param name="router">The row [D] whose sigmoid with a token weights its output; null for a weight of one.</param>
internal sealed unsafe class SharedPanels(PanelSource source, GatedEpilogue epilogue, float* router)
{
    /// <summary>Its panels.</summary>
    public PanelSource Source => source;

    /// <summary>Its activation.</summary>
    public GatedEpilogue Epilogue => epilogue;

    /// <summary>The weight of its output for a token [D].</summary>
    public float WeightOf(float* token) => router is null ? 1 : 1 / (1 + MathF.Exp(-RowSum.Dot(router, token, source.Shape.Hidden)));
}
