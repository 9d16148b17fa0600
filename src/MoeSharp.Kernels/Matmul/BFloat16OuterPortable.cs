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
        if (Vector512.IsHardwareAccelerated) ThreeRowTile<Vector512<float>, TileLanes16, BFloat16Reads<Vector512<float>, TileLanes16>>.Multiply(arguments, rows);
        else if (Vector256.IsHardwareAccelerated) ThreeRowTile<Vector256<float>, TileLanes8, BFloat16Reads<Vector256<float>, TileLanes8>>.Multiply(arguments, rows);
        else ThreeRowTile<Vector128<float>, TileLanes4, BFloat16Reads<Vector128<float>, TileLanes4>>.Multiply(arguments, rows);
    }
}
