namespace MoeSharp;

/// <summary>Holds an assembled tile of bfloat16 against its managed twin before anybody relies on it.</summary>
internal static unsafe class TileCheck
{
    private const int Depth = 11; // two rounds of the unrolled loop, and a rest

    /// <summary>Whether a tile of small whole numbers is the twin's, bit for bit, and one of fractions the twin's but for rounding.</summary>
    public static bool Agrees(delegate* unmanaged[SuppressGCTransition]<TileArguments*, void> tile, int rows, TileKernel twin)
    {
        var random = new Random(1);
        return Agrees(tile, rows, twin, () => random.Next(-8, 9), tolerance: 0)
            && Agrees(tile, rows, twin, () => random.NextSingle() * 2 - 1, tolerance: 1e-5f);
    }

    /// <summary>A tile of any number of rows, from a kernel that may have a smaller one.</summary>
    public static void MultiplyInBlocks(TileKernel kernel, TileArguments* arguments, int rows)
    {
        var block = *arguments;
        for (int row = 0; row < rows; row += kernel.MaxRows)
        {
            block.A = arguments->A + row * arguments->AStride;
            block.C = arguments->C + row * TileKernel.Columns;
            kernel.Multiply(&block, Math.Min(kernel.MaxRows, rows - row), TilePrefetch.None);
        }
    }

    private static bool Agrees(delegate* unmanaged[SuppressGCTransition]<TileArguments*, void> tile, int rows, TileKernel twin, Func<float> next, float tolerance)
    {
        uint[] a = Draw(rows * Depth, next), b = Draw(Depth * TileKernel.Columns, next);
        float[] actual = new float[rows * TileKernel.Columns], expected = new float[rows * TileKernel.Columns];
        fixed (uint* pointerA = a, pointerB = b)
        fixed (float* pointerActual = actual, pointerExpected = expected)
        {
            var arguments = new TileArguments { A = (byte*)pointerA, AStride = Depth * sizeof(uint), B = (byte*)pointerB, C = pointerActual, Depth = Depth };
            tile(&arguments);
            arguments.C = pointerExpected;
            MultiplyInBlocks(twin, &arguments, rows);
        }

        // a NaN is no agreement
        return actual.Zip(expected).All(pair => Math.Abs(pair.First - pair.Second) <= tolerance);
    }

    private static uint[] Draw(int lanes, Func<float> next)
    {
        uint[] drawn = new uint[lanes];
        for (int i = 0; i < lanes; i++) drawn[i] = BitConverter.SingleToUInt32Bits(next()) >> 16 | BitConverter.SingleToUInt32Bits(next()) & 0xffff0000;
        return drawn;
    }
}
