namespace MoeSharp;

/// <summary>The product as one writes it down: what the other float32 tiles are held to, and the tile of processors without vectors.</summary>
/// <remarks>Where the processor fuses multiply and add, this has the bits of every other float32 tile of the same processor.</remarks>
internal sealed unsafe class Float32Scalar : TileKernel
{
    public override string Name => "matmul.f32.scalar";

    public override bool IsSupported => true;

    public override TileType Type => TileType.Float32;

    public override int MaxRows => 14;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        for (int m = 0; m < rows; m++)
        {
            float* a = (float*)(arguments->Rows[m] + arguments->Start), b = (float*)arguments->B, c = arguments->C + m * Columns;
            new Span<float>(c, Columns).Clear();
            for (nint k = 0; k < arguments->Depth; k++, b += Columns)
            {
                for (int n = 0; n < Columns; n++) c[n] = float.MultiplyAddEstimate(a[k], b[n], c[n]);
            }
        }
    }
}
