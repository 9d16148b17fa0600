namespace MoeSharp;

/// <summary>Experts of one shape in a forward pass: the routed ones, or the shared one. It says what their numbers and rows in the pass mean.</summary>
internal sealed unsafe class ExpertGroup(PanelSource source, GatedEpilogue epilogue)
{
    private const long TaskBytes = 8 << 20;         // of weights; from one task to the next the stream breaks off, which cost 4 to 11 % at 1 MB and 1 to 3 % at 4
    private const long LeastTaskBytes = 128 << 10;

    /// <summary>Panels that few rows take together, if the kernel can.</summary>
    public const int Together = 4;

    private int _firstExpert, _firstRow;
    private byte* _hidden;

    /// <summary>Their panels.</summary>
    public PanelSource Source => source;

    /// <summary>Their sizes.</summary>
    public ExpertShape Shape { get; } = source.Shape;

    /// <summary>Panels of gate and up in a task.</summary>
    public int UpPart { get; private set; }

    /// <summary>Panels of down in a task.</summary>
    public int DownPart { get; private set; }

    /// <summary>Room for a panel.</summary>
    public nint PanelBytes => nint.Max(Shape.UpPanelBytes, Shape.DownPanelBytes);

    /// <summary>Begins a pass.</summary>
    /// <param name="firstExpert">What the pass calls the first of them.</param>
    /// <param name="firstRow">Their first row.</param>
    /// <param name="hidden">Room for the hidden rows.</param>
    public void Place(int firstExpert, int firstRow, byte* hidden)
    {
        (_firstExpert, _firstRow) = (firstExpert, firstRow);
        _hidden = hidden;
    }

    /// <summary>Sizes the tasks, so that each of the <paramref name="threads"/> gets some.</summary>
    public void Divide(int activeExperts, int threads)
    {
        long bytes = Math.Clamp(activeExperts * Shape.PackedBytes / (8L * threads), LeastTaskBytes, TaskBytes);
        (UpPart, DownPart) = (PartOf(bytes / Shape.UpPanelBytes), PartOf(bytes / Shape.DownPanelBytes));
    }

    private static int PartOf(long panels) => (int)(panels < Together ? Math.Max(1, panels) : panels / Together * Together);

    /// <summary>The number in the source of what the pass calls <paramref name="expert"/>.</summary>
    public int NumberOf(int expert) => expert - _firstExpert;

    /// <summary>A hidden row.</summary>
    public byte* HiddenOf(int row) => _hidden + (row - _firstRow) * Shape.HiddenStride;

    /// <summary>16 columns of hidden rows from a tile of pre-activations.</summary>
    public void Activate(float* tile, int rows, int row, int panel) =>
        epilogue.Activate(tile, TileKernel.Columns, rows, HiddenOf(row) + panel * (Shape.Type == TileType.Float32 ? 64 : 32), Shape.HiddenStride, Shape.Type);
}
