namespace MoeSharp;

/// <summary>Where a pass finds the panels of its experts.</summary>
internal abstract unsafe class PanelSource(ExpertShape shape)
{
    /// <summary>The sizes of every expert.</summary>
    public ExpertShape Shape { get; } = shape;

    /// <summary>A panel of gate and up: [depth][16 gate + 16 up]. Where there is none in memory it is packed, into the scratch if nowhere else.</summary>
    public abstract byte* Up(int expert, int panel, byte* scratch, out PanelPlace place);

    /// <summary>A panel of down: [depth][32].</summary>
    public abstract byte* Down(int expert, int panel, byte* scratch, out PanelPlace place);

    /// <summary>Whether so many panels of gate and up from this one on lie in memory one after the other.</summary>
    public virtual bool HasUp(int expert, int panel, int count) => false;

    /// <summary>The same of down.</summary>
    public virtual bool HasDown(int expert, int panel, int count) => false;

    /// <summary>The memory of a panel of gate and up, to fetch ahead.</summary>
    public abstract NextPanel NextUp(int expert, int panel);

    /// <summary>The memory of a panel of down, to fetch ahead.</summary>
    public abstract NextPanel NextDown(int expert, int panel);

    /// <summary>The 32 biases of a panel of gate and up, or null.</summary>
    public abstract float* UpBias(int expert, int panel);

    /// <summary>The 32 biases of a panel of down, or null.</summary>
    public abstract float* DownBias(int expert, int panel);
}
