using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// Up to 3 rows by four vectors of 4 columns, twice for a panel, on any processor with vectors, Arm's included. The loop, its picture
/// and its registers are those of <see cref="ThreeRowTile{TVector, TLanes, TReads}"/>.
/// </summary>
/// <remarks>Fused where the processor fuses multiply and add; elsewhere the product is rounded before the addition.</remarks>
internal sealed unsafe class Float32Vector128 : TileKernel
{
    public override string Name => "matmul.f32.vector128";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => ThreeRowTile.MaxRows;

    public override int DepthPart => ThreeRowTile.DepthPart;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch) =>
        ThreeRowTile<Vector128<float>, TileLanes4, Float32Reads<Vector128<float>, TileLanes4>>.Multiply(arguments, rows, prefetch);
}
