namespace MoeSharp;

/// <summary>
/// Where a pass finds the panels of its experts. Those of an expert are numbered through: of gate and up [depth][16 gate + 16 up] first, then
/// of down [depth][32].
/// </summary>
internal abstract unsafe class PanelSource(ExpertShape shape)
{
    /// <summary>The sizes of every expert.</summary>
    public ExpertShape Shape { get; } = shape;

    /// <summary>A panel. Where there is none in memory it is packed, into the scratch if nowhere else.</summary>
    public abstract byte* Panel(int expert, int number, byte* scratch, out PanelPlace place);

    /// <summary>Whether so many panels from this one on lie in memory one after the other.</summary>
    public virtual bool HasPanels(int expert, int number, int count) => false;

    /// <summary>The memory of a panel, to fetch ahead.</summary>
    public abstract NextPanel Next(int expert, int number);

    /// <summary>The 32 biases of a panel, or null.</summary>
    public abstract float* Bias(int expert, int number);
}
