using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>One row by 16 columns at a time, in vectors of any size: what runs without AVX-512.</summary>
/// <remarks>Fused where the processor fuses multiply and add; elsewhere the product is rounded before the addition.</remarks>
internal sealed unsafe class OuterPortable : OuterKernel
{
    public override string Name => "outer.f32.portable";

    public override bool IsSupported => Vector128.IsHardwareAccelerated;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => 4;

    public override void Multiply(OuterArguments* arguments, int rows)
    {
        for (int half = 0; half < TileKernel.Columns; half += 16)
        {
            for (int row = 0; row < rows; row++) Column(arguments, row, half);
        }
    }

    private static void Column(OuterArguments* arguments, int row, int column)
    {
        var sum = Vector512<float>.Zero;
        byte* a = arguments->A + row * sizeof(float), b = arguments->B + column * sizeof(float);
        for (nint k = arguments->Depth; k > 0; k--, a += arguments->AStride, b += arguments->BStride)
        {
            sum = Vector512.MultiplyAddEstimate(Vector512.Create(*(float*)a), Vector512.Load((float*)b), sum);
        }

        sum.Store(arguments->C + row * TileKernel.Columns + column);
    }
}
