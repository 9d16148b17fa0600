namespace MoeSharp;

/// <summary>
/// Experts as a trainer has them, matrices of float32 whose rows are outputs: a panel is packed just before its use, into memory that
/// stays in the cache. The whole layer's weights are read once, and written nowhere.
/// </summary>
/// <param name="shape">The sizes of every expert.</param>
/// <param name="gate">[E, H, D].</param>
/// <param name="up">[E, H, D].</param>
/// <param name="down">[E, D, H].</param>
/// <param name="gateBias">[E, H], or null for no biases.</param>
/// <param name="upBias">[E, H], or null.</param>
/// <param name="downBias">[E, D], or null.</param>
internal sealed unsafe class ExpertMatrices(ExpertShape shape, float* gate, float* up, float* down, float* gateBias, float* upBias, float* downBias) : PanelSource(shape)
{
    [ThreadStatic]
    private static float[]? _bias;

    public override bool IsPacked => false;

    private nint Matrix => (nint)Shape.Hidden * Shape.Intermediate;

    public float* Gate(int expert) => gate + expert * Matrix;

    public float* UpOf(int expert) => up + expert * Matrix;

    public float* DownOf(int expert) => down + expert * Matrix;

    /// <summary>The biases [D] of an expert's down projection, or null.</summary>
    public float* DownBiasOf(int expert) => downBias is null ? null : downBias + (nint)expert * Shape.Hidden;

    public override byte* Up(int expert, int panel, byte* scratch)
    {
        ExpertPanels.PackUp(Shape, Gate(expert), UpOf(expert), panel, scratch);
        return scratch;
    }

    public override byte* Down(int expert, int panel, byte* scratch)
    {
        ExpertPanels.PackDown(Shape, DownOf(expert), panel, scratch);
        return scratch;
    }

    public override NextPanel NextUp(int expert, int panel)
    {
        nint start = (nint)panel * 16 * Shape.Hidden;
        return NextPanel.Of((byte*)(Gate(expert) + start), (byte*)(UpOf(expert) + start));
    }

    public override NextPanel NextDown(int expert, int panel)
    {
        byte* start = (byte*)(DownOf(expert) + (nint)panel * TileKernel.Columns * Shape.Intermediate);
        return NextPanel.Of(start, start + Shape.DownPanelBytes / 2);
    }

    public override float* UpBias(int expert, int panel)
    {
        if (gateBias is null) return null;

        int first = panel * 16, count = Math.Min(16, Shape.Intermediate - first);
        float* bias = Cleared();
        new ReadOnlySpan<float>(gateBias + (nint)expert * Shape.Intermediate + first, count).CopyTo(new(bias, count));
        new ReadOnlySpan<float>(upBias + (nint)expert * Shape.Intermediate + first, count).CopyTo(new(bias + 16, count));
        return bias;
    }

    public override float* DownBias(int expert, int panel)
    {
        if (downBias is null) return null;

        int first = panel * TileKernel.Columns, count = Math.Min(TileKernel.Columns, Shape.Hidden - first);
        float* bias = Cleared();
        new ReadOnlySpan<float>(downBias + (nint)expert * Shape.Hidden + first, count).CopyTo(new(bias, count));
        return bias;
    }

    // one panel's biases at a time per thread
    private static float* Cleared()
    {
        _bias ??= GC.AllocateArray<float>(TileKernel.Columns, pinned: true);
        Array.Clear(_bias);
        return (float*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _bias[0]);
    }
}
