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

    /// <summary>The bytes of a value of them, and of its gradient.</summary>
    public nint ValueBytes => type == TileType.Float32 ? sizeof(float) : sizeof(ushort);

    /// <summary>The gate projection [H, D] of an expert; values of <see cref="Type"/>.</summary>
    public float* Gate(int expert) => At(gate, expert, 0);

    /// <summary>The up projection [H, D].</summary>
    public float* UpOf(int expert) => At(up, expert, 0);

    /// <summary>The down projection [D, H].</summary>
    public float* DownOf(int expert) => At(down, expert, 0);

    /// <summary>The biases [D] of an expert's down projection, or null.</summary>
    public float* DownBiasOf(int expert) => downBias is null ? null : downBias + (nint)expert * Shape.Hidden;

    public override byte* Panel(int expert, int number, byte* scratch, out PanelPlace place)
    {
        Pack(expert, number, scratch);
        place = PanelPlace.Cache;
        return scratch;
    }

    /// <summary>Packs a panel.</summary>
    public void Pack(int expert, int number, byte* to)
    {
        if (number < Shape.UpPanels) PackUp(expert, number, to);
        else PackDown(expert, number - Shape.UpPanels, to);
    }

    private void PackUp(int expert, int panel, byte* to)
    {
        if (type == TileType.Float32) ExpertPanels.PackUp(Shape, Gate(expert), UpOf(expert), panel, to);
        else ExpertPanels.PackUp(Shape, (ushort*)Gate(expert), (ushort*)UpOf(expert), panel, to);
    }

    private void PackDown(int expert, int panel, byte* to)
    {
        if (type == TileType.Float32) ExpertPanels.PackDown(Shape, DownOf(expert), panel, to);
        else ExpertPanels.PackDown(Shape, (ushort*)DownOf(expert), panel, to);
    }

    /// <summary>Packs 32 columns of down as they lie, for the way back.</summary>
    public void PackDownColumns(int expert, int column, float* to) =>
        PackRows(At(down, expert, column), Shape.Intermediate, Math.Min(TileKernel.Columns, Shape.Intermediate - column), Shape.Hidden, to);

    /// <summary>Packs 32 columns of gate and up as they lie, in turns of 16 rows, as the gradients of pre-activations are.</summary>
    public void PackUpColumns(int expert, int column, float* to)
    {
        int columns = Math.Min(TileKernel.Columns, Shape.Hidden - column), lanes = PanelPacker.Lanes(16, Shape.Type) * TileKernel.Columns;
        for (int turn = 0; turn < Shape.UpPanels; turn++, to += 2 * lanes)
        {
            int row = turn * 16, rows = Math.Min(16, Shape.Intermediate - row);
            nint start = (nint)row * Shape.Hidden + column;
            if (rows < 16) new Span<float>(to, 2 * lanes).Clear();
            PackRows(At(gate, expert, start), Shape.Hidden, columns, rows, to);
            PackRows(At(up, expert, start), Shape.Hidden, columns, rows, to + lanes);
        }
    }

    private void PackRows(float* rows, nint stride, int columns, int count, float* to)
    {
        if (type == TileType.Float32) PanelPacker.Straight(rows, stride, columns, count, Shape.Type, to);
        else PanelPacker.Straight((ushort*)rows, stride, columns, count, Shape.Type, to);
    }

    /// <summary>The memory of 32 columns of down, to fetch ahead.</summary>
    public NextPanel NextDownColumns(int expert, int column)
    {
        byte* first = (byte*)At(down, expert, column);
        nint row = Shape.Intermediate * ValueBytes;
        return type == TileType.Float32 ? NextPanel.Rows(first, first + CacheLines.Size, row) : NextPanel.Rows(first, first + row, 2 * row);
    }

    /// <summary>The same of gate and up: their first lines, where a product has one lane of depth for a row of both.</summary>
    public NextPanel NextUpColumns(int expert, int column) =>
        Shape.Type == TileType.BFloat16 ? NextPanel.Rows((byte*)At(gate, expert, column), (byte*)At(up, expert, column), Shape.Hidden * ValueBytes) : NextPanel.None;

    public override NextPanel Next(int expert, int number) => number < Shape.UpPanels ? NextUp(expert, number) : NextDown(expert, number - Shape.UpPanels);

    public override float* Bias(int expert, int number) => number < Shape.UpPanels ? UpBias(expert, number) : DownBias(expert, number - Shape.UpPanels);

    private NextPanel NextUp(int expert, int panel)
    {
        nint start = (nint)panel * 16 * Shape.Hidden;
        return NextPanel.Of((byte*)At(gate, expert, start), (byte*)At(up, expert, start));
    }

    private NextPanel NextDown(int expert, int panel)
    {
        byte* start = (byte*)At(down, expert, (nint)panel * TileKernel.Columns * Shape.Intermediate);
        return NextPanel.Of(start, start + Shape.DownPanelBytes / 2);
    }

    private float* UpBias(int expert, int panel)
    {
        if (gateBias is null) return null;

        int first = panel * 16, count = Math.Min(16, Shape.Intermediate - first);
        float* bias = Cleared();
        new ReadOnlySpan<float>(gateBias + (nint)expert * Shape.Intermediate + first, count).CopyTo(new(bias, count));
        new ReadOnlySpan<float>(upBias + (nint)expert * Shape.Intermediate + first, count).CopyTo(new(bias + 16, count));
        return bias;
    }

    private float* DownBias(int expert, int panel)
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
