using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>Up to 3 rows by four vectors of 8 columns: the outer product of x64 processors without AVX-512.</summary>
internal sealed unsafe class Float32OuterAvx2 : OuterKernel
{
    public override string Name => "outer.f32.avx2";

    public override bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => ThreeRowTile.MaxRows;

    public override int DepthPart => ThreeRowTile.TokensPart;

    public override void Multiply(OuterArguments* arguments, int rows) => ThreeRowTile<Vector256<float>, TileLanes8, Float32Reads<Vector256<float>, TileLanes8>>.Multiply(arguments, rows);
}
