using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>
/// Up to 3 rows by four vectors of 8 columns: the tile of x64 processors without AVX-512. The loop, its picture and its
/// registers are those of <see cref="ThreeRowTile{TVector, TLanes}"/>.
/// </summary>
internal sealed unsafe class Float32Avx2 : TileKernel
{
    public override string Name => "matmul.f32.avx2";

    public override bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => ThreeRowTile<Vector256<float>, Lanes>.MaxRows;

    public override int DepthPart => ThreeRowTile<Vector256<float>, Lanes>.DepthPart;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch) =>
        ThreeRowTile<Vector256<float>, Lanes>.Multiply(arguments, rows, prefetch);

    internal readonly struct Lanes : ITileLanes<Vector256<float>>
    {
        public static int Count => 8;

        public static Vector256<float> Load(byte* b) => Vector256.Load((float*)b);

        public static Vector256<float> Broadcast(byte* a) => Vector256.Create(*(float*)a);

        public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> sum) => Fma.MultiplyAdd(a, b, sum);

        public static void Store(Vector256<float> sum, float* c) => sum.Store(c);
    }
}
