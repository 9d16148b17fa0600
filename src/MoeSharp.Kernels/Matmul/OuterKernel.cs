namespace MoeSharp;

/// <summary>What one call of an <see cref="OuterKernel"/> reads and writes; the order and size of the fields are fixed, as in <see cref="TileArguments"/>: eight bytes each.</summary>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Sequential)]
internal unsafe struct OuterArguments
{
    /// <summary>The first lane of A: [depth][rows of the tile].</summary>
    public byte* A;

    /// <summary>Bytes from a depth of A to the next.</summary>
    public nint AStride;

    /// <summary>The first lane of B: [depth][32].</summary>
    public byte* B;

    /// <summary>Receives the tile [rows][32], without gaps.</summary>
    public float* C;

    /// <summary>The number of lanes that are summed over; 0 or more.</summary>
    public nint Depth;

    /// <summary>Bytes from a depth of B to the next.</summary>
    public nint BStride;

    /// <summary>Not 0 to go on with the sums that <see cref="C"/> holds, which only kernels with a <see cref="OuterKernel.DepthPart"/> can.</summary>
    public nint Continues;
}

/// <summary>
/// The inner loop of weight gradients, C[m, n] = Σ_k A[k, m] · B[k, n]: both sides are read as the rows of tokens lie, and the sum runs
/// over the tokens.
/// </summary>
/// <remarks>Memory is counted in lanes of 32 bits: one float32, or the bfloat16 of two neighbouring tokens (the first in the lower half). Every element is one chain of multiply-adds in ascending k, whatever the number of rows. No checks: callers own the memory.</remarks>
internal abstract unsafe class OuterKernel : IKernel
{
    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public abstract bool IsSupported { get; }

    /// <inheritdoc/>
    public abstract TileType Type { get; }

    /// <inheritdoc/>
    public abstract int MaxRows { get; }

    /// <summary>The depth of which many tiles are computed before the next, so that it stays in the nearest cache. All, unless the kernel can go on with sums.</summary>
    public virtual int DepthPart => int.MaxValue;

    /// <summary>Computes a tile of 1..<see cref="MaxRows"/> rows.</summary>
    public abstract void Multiply(OuterArguments* arguments, int rows);
}
