namespace MoeSharp;

/// <summary>
/// Experts as a trainer has them, matrices whose rows are outputs: a panel is packed just before its use, into memory that stays in the
/// cache. The whole layer's weights are read once, and written nowhere.
/// </summary>
/// <param name="shape">The sizes of every expert.</param>
/// <param name="gate">[E, H, D].</param>
/// <param name="up">[E, H, D].</param>
/// <param name="down">[E, D, H].</param>
/// <param name="gateBias">[E, H], or null for no biases.</param>
/// <param name="upBias">[E, H], or null.</param>
/// <param name="downBias">[E, D], or null.</param>
/// <param name="type">The type of the matrices, whatever the products read; biases are float32.</param>
internal sealed unsafe class ExpertMatrices(ExpertShape shape, void* gate, void* up, void* down, float* gateBias, float* upBias, float* downBias, TileType type = TileType.Float32) : PanelSource(shape)
{
    [ThreadStatic]
    private static float[]? _bias;

    /// <summary>The type of the matrices.</summary>
    public TileType Type => type;

    private nint Matrix => (nint)Shape.Hidden * Shape.Intermediate;

    private nint ValueBytes => type == TileType.Float32 ? sizeof(float) : sizeof(ushort);

    /// <summary>The gate projection [H, D] of an expert; values of <see cref="Type"/>.</summary>
    public float* Gate(int expert) => At(gate, expert, 0);

    /// <summary>The up projection [H, D].</summary>
    public float* UpOf(int expert) => At(up, expert, 0);

    /// <summary>The down projection [D, H].</summary>
    public float* DownOf(int expert) => At(down, expert, 0);

    /// <summary>The biases [D] of an expert's down projection, or null.</summary>
    public float* DownBiasOf(int expert) => downBias is null ? null : downBias + (nint)expert * Shape.Hidden;

    public override byte* Up(int expert, int panel, byte* scratch, out PanelPlace place)
    {
        PackUp(expert, panel, scratch);
        place = PanelPlace.Cache;
        return scratch;
    }

    public override byte* Down(int expert, int panel, byte* scratch, out PanelPlace place)
    {
        PackDown(expert, panel, scratch);
        place = PanelPlace.Cache;
        return scratch;
    }

    /// <summary>Packs a panel of gate and up.</summary>
    public void PackUp(int expert, int panel, byte* to)
    {
        if (type == TileType.Float32) ExpertPanels.PackUp(Shape, Gate(expert), UpOf(expert), panel, to);
        else ExpertPanels.PackUp(Shape, (ushort*)Gate(expert), (ushort*)UpOf(expert), panel, to);
    }

    /// <summary>Packs a panel of down.</summary>
    public void PackDown(int expert, int panel, byte* to)
    {
        if (type == TileType.Float32) ExpertPanels.PackDown(Shape, DownOf(expert), panel, to);
        else ExpertPanels.PackDown(Shape, (ushort*)DownOf(expert), panel, to);
    }

    public override NextPanel NextUp(int expert, int panel)
    {
        nint start = (nint)panel * 16 * Shape.Hidden;
        return NextPanel.Of((byte*)At(gate, expert, start), (byte*)At(up, expert, start));
    }

    public override NextPanel NextDown(int expert, int panel)
    {
        byte* start = (byte*)At(down, expert, (nint)panel * TileKernel.Columns * Shape.Intermediate);
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

    private float* At(void* matrices, int expert, nint value) => (float*)((byte*)matrices + (expert * Matrix + value) * ValueBytes);

    // one panel's biases at a time per thread
    private static float* Cleared()
    {
        _bias ??= GC.AllocateArray<float>(TileKernel.Columns, pinned: true);
        Array.Clear(_bias);
        return (float*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _bias[0]);
    }
}
