using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>
/// bfloat16 with the multiply-add of float32, in the widest vectors that the processor has, as
/// <see cref="ThreeRowTile{TVector, TLanes}"/> draws it. The managed twin of the assembled tile, and the tile of processors without AVX512-BF16.
/// </summary>
/// <remarks>
/// <code>
///   lane       [ k + 1 : 16 bits | k : 16 bits ]
///   low  half   lane &lt;&lt; 16          = the float32 of k
///   high half   lane &amp; 0xffff0000   = the float32 of k + 1
/// </code>
/// Both halves of B are widened once per step of k and serve all rows. The high half is added first, as vdpbf16ps does. The product of two
/// bfloat16 is exact in float32, so the bits are the same with and without fused multiply-add, in vectors of any width, and in machine code,
/// but for products and sums below float32's normal range.
/// </remarks>
internal sealed unsafe class BFloat16Portable : TileKernel
{
    private const uint HighHalf = 0xffff0000;

    public override string Name => "matmul.bf16.portable";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => ThreeRowTile<Vector128<float>, Lanes128>.MaxRows;

    public override int DepthPart => ThreeRowTile<Vector128<float>, Lanes128>.DepthPart;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        if (Vector512.IsHardwareAccelerated) ThreeRowTile<Vector512<float>, Lanes512>.Multiply(arguments, rows, prefetch);
        else if (Vector256.IsHardwareAccelerated) ThreeRowTile<Vector256<float>, Lanes256>.Multiply(arguments, rows, prefetch);
        else ThreeRowTile<Vector128<float>, Lanes128>.Multiply(arguments, rows, prefetch);
    }

    internal readonly struct Lanes512 : ITileLanes<Vector512<float>>
    {
        public static int Count => 16;

        public static Vector512<float> Load(byte* b) => Vector512.Load((float*)b);

        public static Vector512<float> Broadcast(byte* a) => Vector512.Create(*(uint*)a).AsSingle();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> sum)
        {
            sum = Vector512.MultiplyAddEstimate((a.AsUInt32() & Vector512.Create(HighHalf)).AsSingle(), (b.AsUInt32() & Vector512.Create(HighHalf)).AsSingle(), sum);
            return Vector512.MultiplyAddEstimate((a.AsUInt32() << 16).AsSingle(), (b.AsUInt32() << 16).AsSingle(), sum);
        }

        public static void Store(Vector512<float> sum, float* c) => sum.Store(c);
    }

    internal readonly struct Lanes256 : ITileLanes<Vector256<float>>
    {
        public static int Count => 8;

        public static Vector256<float> Load(byte* b) => Vector256.Load((float*)b);

        public static Vector256<float> Broadcast(byte* a) => Vector256.Create(*(uint*)a).AsSingle();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> sum)
        {
            sum = Vector256.MultiplyAddEstimate((a.AsUInt32() & Vector256.Create(HighHalf)).AsSingle(), (b.AsUInt32() & Vector256.Create(HighHalf)).AsSingle(), sum);
            return Vector256.MultiplyAddEstimate((a.AsUInt32() << 16).AsSingle(), (b.AsUInt32() << 16).AsSingle(), sum);
        }

        public static void Store(Vector256<float> sum, float* c) => sum.Store(c);
    }

    internal readonly struct Lanes128 : ITileLanes<Vector128<float>>
    {
        public static int Count => 4;

        public static Vector128<float> Load(byte* b) => Vector128.Load((float*)b);

        public static Vector128<float> Broadcast(byte* a) => Vector128.Create(*(uint*)a).AsSingle();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> sum)
        {
            sum = Vector128.MultiplyAddEstimate((a.AsUInt32() & Vector128.Create(HighHalf)).AsSingle(), (b.AsUInt32() & Vector128.Create(HighHalf)).AsSingle(), sum);
            return Vector128.MultiplyAddEstimate((a.AsUInt32() << 16).AsSingle(), (b.AsUInt32() << 16).AsSingle(), sum);
        }

        public static void Store(Vector128<float> sum, float* c) => sum.Store(c);
    }
}
