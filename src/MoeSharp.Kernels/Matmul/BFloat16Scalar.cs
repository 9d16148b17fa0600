namespace MoeSharp;

/// <summary>The product of bfloat16 as one writes it down: what the other bfloat16 tiles are held to, and the tile of processors without vectors.</summary>
internal sealed unsafe class BFloat16Scalar : TileKernel
{
    public override string Name => "matmul.bf16.scalar";

    public override bool IsSupported => true;

    public override TileType Type => TileType.BFloat16;

    public override int MaxRows => 14;

    public override void Multiply(TileArguments* arguments, int rows, TilePrefetch prefetch)
    {
        for (int m = 0; m < rows; m++)
        {
            uint* a = (uint*)(arguments->Rows[m] + arguments->Start), b = (uint*)arguments->B;
            float* c = arguments->C + m * Columns;
            new Span<float>(c, Columns).Clear();
            for (nint k = 0; k < arguments->Depth; k++, b += Columns)
            {
                for (int n = 0; n < Columns; n++) c[n] = MultiplyAdd(a[k], b[n], c[n]);
            }
        }
    }

    /// <summary>sum + both products of two lanes, that of the high halves first.</summary>
    public static float MultiplyAdd(uint a, uint b, float sum) => float.MultiplyAddEstimate(Low(a), Low(b), float.MultiplyAddEstimate(High(a), High(b), sum));

    // a bfloat16 is the upper half of the float32 of the same value
    private static float Low(uint lane) => BitConverter.UInt32BitsToSingle(lane << 16);

    private static float High(uint lane) => BitConverter.UInt32BitsToSingle(lane & 0xffff0000);
}
