using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>One row by 32 columns in vectors of any size: the twin that the others are held against, and what runs without AVX-512.</summary>
internal sealed unsafe class OuterPortable : OuterKernel
{
    public override string Name => "outer.f32.portable";

    public override bool IsSupported => true;

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
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(*(float*)a), Vector512.Load((float*)b), sum);
        }

        sum.Store(arguments->C + row * TileKernel.Columns + column);
    }
}
