namespace MoeSharp;

/// <summary>All rows of a block of weight gradients, in tiles of nearly equal size.</summary>
internal static unsafe class OuterProduct
{
    /// <summary>Multiplies, and stores every tile.</summary>
    /// <param name="kernel">The inner loop.</param>
    /// <param name="arguments">Both sides from their first row and column on; C is room for <see cref="PanelProduct.RowsTogether"/> rows, aligned to 64 bytes.</param>
    /// <param name="rows">The rows of the block.</param>
    /// <param name="to">Where they go.</param>
    public static void Run(OuterKernel kernel, OuterArguments arguments, int rows, WeightRows to)
    {
        byte* a = arguments.A;
        for (int row = 0, count; row < rows; row += count)
        {
            count = Math.Min(rows - row, PanelProduct.RowsTogether);
            arguments.A = a + row * sizeof(float);
            Multiply(kernel, arguments, count);
            to.Store(arguments.C, row, count);
        }
    }

    // a part of the tokens at a time: those of B stay in the nearest cache for all tiles
    private static void Multiply(OuterKernel kernel, OuterArguments arguments, int rows)
    {
        byte* a = arguments.A, b = arguments.B;
        float* c = arguments.C;
        nint depth = arguments.Depth, token = 0;
        int tiles = (rows + kernel.MaxRows - 1) / kernel.MaxRows;
        do
        {
            arguments.Depth = nint.Min(kernel.DepthPart, depth - token);
            arguments.B = b + token * arguments.BStride;
            arguments.Continues = token;
            for (int tile = 0, first = 0; tile < tiles; tile++)
            {
                int count = rows / tiles + (tile < rows % tiles ? 1 : 0);
                arguments.A = a + token * arguments.AStride + first * sizeof(float);
                arguments.C = c + first * TileKernel.Columns;
                kernel.Multiply(&arguments, count);
                first += count;
            }

            token += arguments.Depth;
        }
        while (token < depth);
    }
}
