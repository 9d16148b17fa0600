namespace MoeSharp;

/// <summary>Where the rows of a block of weight gradients go: those of one matrix, or first some of gate and then the same of up.</summary>
/// <param name="first">The first row of the first matrix, at the block's first column.</param>
/// <param name="second">The same of the second; null for none.</param>
/// <param name="type">The type of the matrices.</param>
/// <param name="turn">How many rows of the block belong to a matrix.</param>
/// <param name="rows">How many of those there are: the last block of gate and up is padded.</param>
/// <param name="stride">Values from a row to the next.</param>
/// <param name="columns">The columns of the block, up to 32.</param>
internal readonly unsafe struct WeightRows(void* first, void* second, TileType type, int turn, int rows, nint stride, int columns)
{
    /// <summary>Stores a tile of the rows from <paramref name="row"/> on.</summary>
    public void Store(float* tile, int row, int count)
    {
        StoreOf(first, 0, tile, row, count);
        if (second is not null) StoreOf(second, turn, tile, row, count);
    }

    private void StoreOf(void* matrix, int start, float* tile, int row, int count)
    {
        int from = Math.Max(row, start), end = Math.Min(row + count, start + rows);
        if (end <= from) return;

        float* values = tile + (from - row) * TileKernel.Columns;
        nint skipped = (from - start) * stride;
        if (type == TileType.Float32) StreamStore.Rows(values, end - from, (float*)matrix + skipped, stride, columns);
        else StreamStore.Rounded(values, end - from, (ushort*)matrix + skipped, stride, columns);
    }
}
