using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// bfloat16 with the multiply-add of float32, in the widest vectors that the processor has, as
/// <see cref="ThreeRowTile{TVector, TLanes, TReads}"/> draws it. The managed twin of the assembled tile, and the tile of processors without AVX512-BF16.
/// </summary>
/// <remarks>
/// <code>
///   lane       [ k + 1 : 16 bits | k : 16 bits ]
///   low  half   lane &lt;&lt; 16          = the float32 of k
///   high half   lane &amp; 0xffff0000   = the float32 of k + 1
/// </code>
/// A few rows widen both halves of B as they come; more have a part of the panel widened once for all of them. The high half is added first,
/// as vdpbf16ps does. The product of two bfloat16 is exact in float32, so the bits are the same with and without fused multiply-add, in
/// vectors of any width, and in machine code, but for products and sums below float32's normal range.
/// </remarks>
internal sealed unsafe class BFloat16Portable : TileKernel
{
    public override string Name => "matmul.bf16.portable";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => ThreeRowTile.MaxRows;

    public override int DepthPart => ThreeRowTile.DepthPart;

    // measured: two blocks of rows are as fast without
    public override int LeastRowsToWiden => 2 * MaxRows + 1;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        if (Vector512.IsHardwareAccelerated) ThreeRowTile<Vector512<float>, TileLanes16, BFloat16Reads<Vector512<float>, TileLanes16>>.Multiply(arguments, rows, prefetch);
        else if (Vector256.IsHardwareAccelerated) ThreeRowTile<Vector256<float>, TileLanes8, BFloat16Reads<Vector256<float>, TileLanes8>>.Multiply(arguments, rows, prefetch);
        else ThreeRowTile<Vector128<float>, TileLanes4, BFloat16Reads<Vector128<float>, TileLanes4>>.Multiply(arguments, rows, prefetch);
    }

    public override void Widen(byte* panel, int depth, float* wide)
    {
        if (Vector512.IsHardwareAccelerated) Widen<Vector512<float>, TileLanes16>(panel, depth, wide);
        else if (Vector256.IsHardwareAccelerated) Widen<Vector256<float>, TileLanes8>(panel, depth, wide);
        else Widen<Vector128<float>, TileLanes4>(panel, depth, wide);
    }

    public override void MultiplyWide(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        if (Vector512.IsHardwareAccelerated) ThreeRowTile<Vector512<float>, TileLanes16, WideReads<Vector512<float>, TileLanes16>>.Multiply(arguments, rows, prefetch);
        else if (Vector256.IsHardwareAccelerated) ThreeRowTile<Vector256<float>, TileLanes8, WideReads<Vector256<float>, TileLanes8>>.Multiply(arguments, rows, prefetch);
        else ThreeRowTile<Vector128<float>, TileLanes4, WideReads<Vector128<float>, TileLanes4>>.Multiply(arguments, rows, prefetch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<TVector, TLanes>(byte* panel, int depth, float* wide)
        where TVector : struct
        where TLanes : struct, ITileLanes<TVector>
    {
        for (int k = 0; k < depth; k++, panel += Columns * sizeof(uint), wide += 2 * Columns)
        {
            for (int column = 0; column < Columns; column += TLanes.Count)
            {
                var lanes = TLanes.Load(panel + column * sizeof(uint));
                TLanes.Store(TLanes.High(lanes), wide + column);
                TLanes.Store(TLanes.Low(lanes), wide + Columns + column);
            }
        }
    }
}
