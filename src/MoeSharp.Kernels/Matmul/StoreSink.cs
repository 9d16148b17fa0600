namespace MoeSharp;

/// <summary>Tiles to the columns of a matrix whose rows are whole panels.</summary>
/// <param name="to">The panel's columns of the first row.</param>
/// <param name="stride">Values from a row to the next.</param>
/// <param name="bias">The 32 biases of the columns, or null.</param>
internal readonly unsafe struct StoreSink(float* to, int stride, float* bias = null) : ITileSink
{
    public void Take(float* tile, int first, int rows)
    {
        if (bias is not null) TileRows.AddBias(tile, rows, bias);
        TileRows.Store(tile, rows, to + (long)first * stride, stride);
    }
}
