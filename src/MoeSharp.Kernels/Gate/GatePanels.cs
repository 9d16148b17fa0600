namespace MoeSharp;

/// <summary>The weight of a gate as panels, and the rows that are multiplied with it.</summary>
/// <remarks>
/// Panels [E / 32][depth][32] of float32; columns beyond E are zeros. A logit bias is one lane of depth more, whose value in every row is
/// one: sums end in a multiply-add of it, and products need to know nothing.
/// </remarks>
internal sealed unsafe class GatePanels : IDisposable
{
    private readonly AlignedMemory _weight;
    private readonly RouterInputNorm? _norm;
    private readonly float[] _scale;        // of normalised rows: D^-1/2, times what was loaded

    /// <summary>Allocates room for the gate of a layer.</summary>
    public GatePanels(MoeOptions options)
    {
        (Hidden, Experts, _norm) = (options.HiddenSize, options.Router.ExpertCount, options.Router.InputNorm);
        Depth = Hidden + (options.Router.HasLogitBias ? 1 : 0);
        _weight = new AlignedMemory(Count * PanelBytes, $"the weight of a gate of {Hidden} to {Experts} experts");
        _weight.Clear();
        _scale = _norm is null ? [] : new float[Hidden];
        Array.Fill(_scale, RootOfWidth);
    }

    /// <summary>The width D of the tokens.</summary>
    public int Hidden { get; }

    /// <summary>The number E of experts.</summary>
    public int Experts { get; }

    /// <summary>The lanes that are summed over.</summary>
    public int Depth { get; }

    /// <summary>The number of panels.</summary>
    public int Count => (Experts + TileKernel.Columns - 1) / TileKernel.Columns;

    /// <summary>Bytes of a panel.</summary>
    public nint PanelBytes => PanelPacker.Bytes(Depth, TileType.Float32);

    /// <summary>The bytes of all panels.</summary>
    public long Bytes => _weight.Length;

    /// <summary>Bytes from one row to the next: a line more than it needs, so that neighbours do not share cache sets.</summary>
    public nint RowStride => CacheLines.RoundUp(Depth * (nint)sizeof(float)) + CacheLines.Size;

    private float RootOfWidth => (float)(1 / Math.Sqrt(Hidden));

    /// <summary>Where a panel lies.</summary>
    public byte* Panel(int panel) => _weight.Start + panel * PanelBytes;

    /// <summary>Packs the weight [E, D].</summary>
    /// <typeparam name="T">float, or ushort for the bits of bfloat16.</typeparam>
    public void Pack<T>(T* weight)
        where T : unmanaged
    {
        const int Half = TileKernel.Columns / 2;
        for (int half = 0; half < 2 * Count; half++)
        {
            int first = Math.Min(half * Half, Experts), rows = Math.Min(Half, Experts - first);
            PanelPacker.Transposed(weight + (nint)first * Hidden, Hidden, rows, Hidden, TileType.Float32, (float*)Panel(half / 2) + half % 2 * Half);
        }
    }

    /// <summary>Takes the logit bias [E], which has its lane where the options have it.</summary>
    public void PackBias(ReadOnlySpan<float> bias)
    {
        for (int panel = 0; panel < Count; panel++)
        {
            int first = panel * TileKernel.Columns, columns = Math.Min(TileKernel.Columns, Experts - first);
            bias.Slice(first, columns).CopyTo(new((float*)Panel(panel) + (nint)Hidden * TileKernel.Columns, columns));
        }
    }

    /// <summary>Takes the scale [D] of normalised tokens.</summary>
    public void TakeScale(ReadOnlySpan<float> scale)
    {
        for (int i = 0; i < scale.Length; i++) _scale[i] = scale[i] * RootOfWidth;
    }

    /// <summary>Fills a row with what is multiplied of a token [D].</summary>
    public void FillRow(float* token, float* row)
    {
        if (_norm is null) new ReadOnlySpan<float>(token, Hidden).CopyTo(new(row, Hidden));
        else RmsNormKernel.Row(new(token, Hidden), _scale, new(row, Hidden), (float)_norm.Epsilon);
        row[Hidden] = 1;        // there is a line more than the row needs
    }

    public void Dispose() => _weight.Dispose();
}
