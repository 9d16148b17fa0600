using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// Up to 3 rows by four vectors of 4 columns, twice for a panel, on any processor with vectors, Arm's included. The loop, its picture
/// and its registers are those of <see cref="ThreeRowTile{TVector, TLanes}"/>.
/// </summary>
/// <remarks>Fused where the processor fuses multiply and add; elsewhere the product is rounded before the addition.</remarks>
internal sealed unsafe class Float32Vector128 : TileKernel
{
    public override string Name => "matmul.f32.vector128";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => ThreeRowTile<Vector128<float>, Lanes>.MaxRows;

    public override int DepthPart => ThreeRowTile<Vector128<float>, Lanes>.DepthPart;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch) =>
        ThreeRowTile<Vector128<float>, Lanes>.Multiply(arguments, rows, prefetch);

    internal readonly struct Lanes : ITileLanes<Vector128<float>>
    {
        public static int Count => 4;

        public static Vector128<float> Load(byte* b) => Vector128.Load((float*)b);

        public static Vector128<float> Broadcast(byte* a) => Vector128.Create(*(float*)a);

        public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> sum) => Vector128.MultiplyAddEstimate(a, b, sum);

        public static void Store(Vector128<float> sum, float* c) => sum.Store(c);
    }
}
