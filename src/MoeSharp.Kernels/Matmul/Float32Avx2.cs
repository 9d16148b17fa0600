using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>
/// Up to 3 rows by four vectors of 8 columns: the tile of x64 processors without AVX-512. The loop, its picture and its
/// registers are those of <see cref="ThreeRowTile{TVector, TLanes, TReads}"/>.
/// </summary>
internal sealed unsafe class Float32Avx2 : TileKernel
{
    public override string Name => "matmul.f32.avx2";

    public override bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => ThreeRowTile.MaxRows;

    public override int DepthPart => ThreeRowTile.DepthPart;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch) =>
        ThreeRowTile<Vector256<float>, TileLanes8, Float32Reads<Vector256<float>, TileLanes8>>.Multiply(arguments, rows, prefetch);
}
