using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>Up to 3 rows by four vectors of 4 columns, twice: the outer product of any processor with vectors, Arm's included.</summary>
/// <remarks>Fused where the processor fuses multiply and add; elsewhere the product is rounded before the addition.</remarks>
internal sealed unsafe class Float32OuterVector128 : OuterKernel
{
    public override string Name => "outer.f32.vector128";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => ThreeRowTile.MaxRows;

    public override int DepthPart => ThreeRowTile.TokensPart;

    public override void Multiply(OuterArguments* arguments, int rows) => ThreeRowTile<Vector128<float>, TileLanes4, Float32Reads<Vector128<float>, TileLanes4>>.Multiply(arguments, rows);
}
