namespace MoeSharp;

/// <summary>Experts of one shape as panels, packed once: for weights that stay as they are.</summary>
/// <remarks>
/// Per expert the panels of gate and up [H / 16][depth D][16 gate + 16 up], so that the activation finds both in one tile, then those of
/// down [D / 32][depth H][32]. Columns beyond H and D are zeros, and so is what they compute.
/// </remarks>
internal sealed unsafe class ExpertPanels : PanelSource, IDisposable
{
    private readonly AlignedMemory _weights;
    private readonly AlignedMemory? _biases;

    /// <summary>Allocates room for <paramref name="count"/> experts.</summary>
    public ExpertPanels(ExpertShape shape, int count, bool hasBias)
        : base(shape)
    {
        Count = count;
        var bytes = (long)Int128.Min((Int128)count * shape.PackedBytes, long.MaxValue);       // more than there can be is refused as that is
        _weights = new AlignedMemory(bytes, $"the packed weights of {count} experts of {shape.Hidden} by {shape.Intermediate}");
        if (!hasBias) return;

        _biases = new AlignedMemory((long)count * BiasValues * sizeof(float), $"the biases of {count} experts");
        _biases.Clear();
    }

    /// <summary>The number of experts.</summary>
    public int Count { get; }

    /// <summary>The bytes of all panels and biases.</summary>
    public long Bytes => _weights.Length + (_biases?.Length ?? 0);

    private int BiasValues => Shape.Panels * TileKernel.Columns;

    /// <inheritdoc/>
    public override byte* Panel(int expert, int number, byte* scratch, out PanelPlace place)
    {
        place = PanelPlace.Memory;
        return At(expert, number);
    }

    /// <inheritdoc/>
    public override bool HasPanels(int expert, int number, int count) => true;

    /// <inheritdoc/>
    public override NextPanel Next(int expert, int number) => NextPanel.Of(At(expert, number), At(expert, number) + Shape.PanelBytes(number) / 2);

    /// <inheritdoc/>
    public override float* Bias(int expert, int number) => _biases is null ? null : (float*)_biases.Start + (long)expert * BiasValues + number * TileKernel.Columns;

    /// <summary>Where a panel lies.</summary>
    public byte* At(int expert, int number) => _weights.Start + expert * Shape.PackedBytes + Shape.PanelStart(number);

    /// <summary>Packs one of so many parts of an expert from matrices whose rows are outputs: gate and up [H, D], down [D, H].</summary>
    /// <typeparam name="T">float, or ushort for the bits of bfloat16.</typeparam>
    public void Pack<T>(int expert, T* gate, T* up, T* down, int part = 0, int parts = 1)
        where T : unmanaged
    {
        int end = (part + 1) * Shape.Panels / parts;
        for (int number = part * Shape.Panels / parts; number < end; number++)
        {
            byte* to = At(expert, number);
            if (number < Shape.UpPanels) PackUp(Shape, gate, up, number, to, streams: true);
            else PackDown(Shape, down, number - Shape.UpPanels, to, streams: true);
        }

        Thread.MemoryBarrier();     // such writes are ordered by nothing else
    }

    /// <summary>Takes the biases of one expert: gate and up [H], down [D].</summary>
    public void PackBias(int expert, ReadOnlySpan<float> gate, ReadOnlySpan<float> up, ReadOnlySpan<float> down)
    {
        for (int column = 0; column < gate.Length; column++)
        {
            float* panel = Bias(expert, column / 16);
            (panel[column % 16], panel[16 + column % 16]) = (gate[column], up[column]);
        }

        down.CopyTo(new Span<float>(Bias(expert, Shape.UpPanels), Shape.DownPanels * TileKernel.Columns));
    }

    /// <summary>Packs one panel of gate and up.</summary>
    public static void PackUp<T>(ExpertShape shape, T* gate, T* up, int panel, byte* to, bool streams = false)
        where T : unmanaged
    {
        int first = panel * 16, rows = Math.Min(16, shape.Intermediate - first);
        PanelPacker.Transposed(gate + (nint)first * shape.Hidden, shape.Hidden, rows, shape.Hidden, shape.Type, (float*)to, streams);
        PanelPacker.Transposed(up + (nint)first * shape.Hidden, shape.Hidden, rows, shape.Hidden, shape.Type, (float*)to + 16, streams);
    }

    /// <summary>Packs one panel of down.</summary>
    public static void PackDown<T>(ExpertShape shape, T* down, int panel, byte* to, bool streams = false)
        where T : unmanaged
    {
        for (int half = 0; half < 2; half++)
        {
            int first = panel * TileKernel.Columns + half * 16, rows = Math.Clamp(shape.Hidden - first, 0, 16);
            PanelPacker.Transposed(down + (nint)first * shape.Intermediate, shape.Intermediate, rows, shape.Intermediate, shape.Type, (float*)to + half * 16, streams);
        }
    }

    public void Dispose()
    {
        _weights.Dispose();
        _biases?.Dispose();
    }
}
