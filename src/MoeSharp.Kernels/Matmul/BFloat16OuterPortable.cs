using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// The outer product of bfloat16 with the multiply-add of float32, as <see cref="BFloat16Portable"/> multiplies lanes: the twin of the
/// assembled one, and the outer product of processors without AVX512-BF16.
/// </summary>
internal sealed unsafe class BFloat16OuterPortable : OuterKernel
{
    public override string Name => "outer.bf16.portable";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => ThreeRowTile.MaxRows;

    public override int DepthPart => ThreeRowTile.TokensPart;

    public override void Multiply(OuterArguments* arguments, int rows)
    {
        if (Vector512.IsHardwareAccelerated) ThreeRowTile<Vector512<float>, BFloat16TileLanes<Vector512<float>, Float32TileLanes16>>.Multiply(arguments, rows);
        else if (Vector256.IsHardwareAccelerated) ThreeRowTile<Vector256<float>, BFloat16TileLanes<Vector256<float>, Float32TileLanes8>>.Multiply(arguments, rows);
        else ThreeRowTile<Vector128<float>, BFloat16TileLanes<Vector128<float>, Float32TileLanes4>>.Multiply(arguments, rows);
    }
}
