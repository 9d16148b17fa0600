namespace MoeSharp;

/// <summary>
/// The inner loop of every product: a few rows of A times a panel of 32 columns of B, C[m, n] = Σ_k A[m, k] · B[k, n].
/// </summary>
/// <remarks>
/// Memory is counted in lanes of 32 bits: one float32, or two bfloat16 of neighbouring k (the lower half first). Every element is one chain
/// of multiply-adds in ascending k, whatever the number of rows, so a row has the same bits alone and among others. No checks: callers
/// own the memory.
/// </remarks>
internal abstract unsafe class TileKernel : IKernel
{
    /// <summary>Columns of a panel and of a tile.</summary>
    public const int Columns = 32;

    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public abstract bool IsSupported { get; }

    /// <inheritdoc/>
    public abstract TileType Type { get; }

    /// <inheritdoc/>
    public abstract int MaxRows { get; }

    /// <summary>
    /// The lanes of depth of which the kernel takes many rows before the next: so many of a panel stay in the nearest cache. All of them,
    /// unless it can go on with sums.
    /// </summary>
    public virtual int DepthPart => int.MaxValue;

    /// <summary>Computes a tile of 1..<see cref="MaxRows"/> rows.</summary>
    public abstract void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch);

    /// <summary>From so many rows on it pays to widen a part of the panel once, for all of them. Never, unless the kernel has no instruction for its type.</summary>
    public virtual int LeastRowsToWiden => int.MaxValue;

    /// <summary>Widens a part of a panel to float32: [2 · depth][<see cref="Columns"/>], in the order in which they are added.</summary>
    public virtual void Widen(byte* panel, int depth, float* wide) => throw new NotSupportedException($"{Name} multiplies panels as they are.");

    /// <summary>Computes the tile from what <see cref="Widen"/> made of the panel: the arguments are those of <see cref="Multiply"/>, but for B. The bits are the same.</summary>
    public virtual void MultiplyWide(TileArguments* arguments, int rows, TilePrefetch prefetch) => throw new NotSupportedException($"{Name} multiplies panels as they are.");

    /// <summary>
    /// The panels that so few rows take together: each sum is one chain, and those of a few rows by one panel are too few to keep the processor
    /// busy.
    /// </summary>
    public virtual int PanelsOf(int rows) => 1;

    /// <summary>Computes the tiles of several panels, [panels][rows][<see cref="Columns"/>], as many as <see cref="PanelsOf"/> says.</summary>
    public virtual void MultiplyPanels(TileArguments* arguments, int rows)
    {
        var one = *arguments;
        for (int panel = 0; panel < PanelsOf(rows); panel++)
        {
            one.B = arguments->B + panel * arguments->PanelStep;
            one.C = arguments->C + panel * rows * Columns;
            Multiply(&one, rows, TilePrefetch.None);
        }
    }
}

/// <summary>The type of the values that a tile multiplies; it always adds in float32.</summary>
internal enum TileType
{
    /// <summary>One value per lane.</summary>
    Float32,

    /// <summary>Two values per lane.</summary>
    BFloat16,
}
