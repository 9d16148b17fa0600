namespace MoeSharp;

/// <summary>The outer product of bfloat16 as one writes it down: what the others are held to, and what processors without vectors run.</summary>
internal sealed unsafe class BFloat16OuterScalar : OuterKernel
{
    public override string Name => "outer.bf16.scalar";

    public override bool IsSupported => true;

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => 12;

    public override void Multiply(OuterArguments* arguments, int rows)
    {
        float* c = arguments->C;
        new Span<float>(c, rows * TileKernel.Columns).Clear();
        for (nint k = 0; k < arguments->Depth; k++)
        {
            uint* a = (uint*)(arguments->A + k * arguments->AStride), b = (uint*)(arguments->B + k * arguments->BStride);
            for (int m = 0; m < rows; m++)
            {
                for (int n = 0; n < TileKernel.Columns; n++) c[m * TileKernel.Columns + n] = BFloat16Scalar.MultiplyAdd(a[m], b[n], c[m * TileKernel.Columns + n]);
            }
        }
    }
}
