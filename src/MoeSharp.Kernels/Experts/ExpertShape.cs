namespace MoeSharp;

/// <summary>The sizes of one gated expert, and of its panels and rows in memory.</summary>
/// <param name="Hidden">The width D of tokens.</param>
/// <param name="Intermediate">The width H between the products.</param>
/// <param name="Type">The type that products read.</param>
internal readonly record struct ExpertShape(int Hidden, int Intermediate, TileType Type)
{
    /// <summary>Bytes of a value that products read.</summary>
    public int ValueBytes => Type == TileType.Float32 ? sizeof(float) : sizeof(ushort);

    /// <summary>Panels of gate and up: 16 columns of each.</summary>
    public int UpPanels => (Intermediate + 15) / 16;

    /// <summary>Panels of down: 32 columns.</summary>
    public int DownPanels => (Hidden + TileKernel.Columns - 1) / TileKernel.Columns;

    /// <summary>All panels of an expert, numbered through: those of down come last.</summary>
    public int Panels => UpPanels + DownPanels;

    /// <summary>The lanes that gate and up sum over.</summary>
    public int UpDepth => PanelPacker.Lanes(Hidden, Type);

    /// <summary>The lanes that down sums over.</summary>
    public int DownDepth => PanelPacker.Lanes(Intermediate, Type);

    /// <summary>Bytes of a panel of gate and up.</summary>
    public nint UpPanelBytes => PanelPacker.Bytes(Hidden, Type);

    /// <summary>Bytes of a panel of down.</summary>
    public nint DownPanelBytes => PanelPacker.Bytes(Intermediate, Type);

    /// <summary>Bytes of an expert's panels.</summary>
    public long PackedBytes => PanelStart(Panels);

    /// <summary>Bytes of a panel.</summary>
    public nint PanelBytes(int number) => number < UpPanels ? UpPanelBytes : DownPanelBytes;

    /// <summary>Bytes of an expert's panels before this one.</summary>
    public long PanelStart(int number) => (long)Math.Min(number, UpPanels) * UpPanelBytes + (long)Math.Max(0, number - UpPanels) * DownPanelBytes;

    /// <summary>Bytes from one gathered row to the next: a line more than it needs, so that neighbours do not share cache sets.</summary>
    public nint InputStride => CacheLines.RoundUp(UpDepth * sizeof(float)) + CacheLines.Size;

    /// <summary>Bytes from one hidden row to the next; whole panels.</summary>
    public nint HiddenStride => CacheLines.RoundUp(UpPanels * 16 * ValueBytes) + CacheLines.Size;

    /// <summary>Values from one output row to the next, of either type: whole panels, and one more, so that neighbours do not share cache sets.</summary>
    public int OutputStride => (DownPanels + 1) * TileKernel.Columns;

    /// <summary>Values from one row of pre-activations to the next: gate and up in turns of 16, and a line more.</summary>
    public int KeptStride => UpPanels * TileKernel.Columns + CacheLines.Size / sizeof(float);
}
