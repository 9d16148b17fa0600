namespace MoeSharp;

/// <summary>Tiles to the columns of a matrix whose rows are whole panels.</summary>
/// <param name="to">The matrix.</param>
/// <param name="type">The type of its values.</param>
/// <param name="start">Where the panel's columns of the first row begin.</param>
/// <param name="stride">Values from a row to the next.</param>
/// <param name="bias">The 32 biases of the columns, or null.</param>
internal readonly unsafe struct StoreSink(void* to, TileType type, long start, int stride, float* bias = null) : ITileSink
{
    public void Take(float* tile, int first, int rows)
    {
        if (bias is not null) TileRows.AddBias(tile, rows, bias);
        long at = start + (long)first * stride;
        if (type == TileType.Float32) TileRows.Store(tile, rows, (float*)to + at, stride);
        else TileRows.StoreRounded(tile, rows, (ushort*)to + at, stride);
    }
}
