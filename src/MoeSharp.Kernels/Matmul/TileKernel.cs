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
}

/// <summary>The type of the values that a tile multiplies; it always adds in float32.</summary>
internal enum TileType
{
    /// <summary>One value per lane.</summary>
    Float32,

    /// <summary>Two values per lane.</summary>
    BFloat16,
}
