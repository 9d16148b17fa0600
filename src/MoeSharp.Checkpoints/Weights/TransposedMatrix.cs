using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A matrix that is stored with inputs as rows: row r is the stored column <paramref name="first"/> + r · <paramref name="step"/>. Stored rows are
/// decoded whole, so that few rows at a time cost as much as all.
/// </summary>
internal sealed class TransposedMatrix(WeightMatrix stored, int first, int step, int count) : WeightMatrix(stored.Name, count, stored.Rows)
{
    private const int BlockLength = 1 << 16, Tile = 16;      // a block stays in the second cache, the ends of a tile's rows in the first

    /// <inheritdoc/>
    public override string Format => stored.Format;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => stored.Parts;

    internal override float Value(int row, int column) => stored.Value(column, first + step * row);

    internal override WeightMatrix RowsFrom(int from, int every, int rows) => new TransposedMatrix(stored, first + step * from, step * every, rows);

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        int width = stored.Columns, together = Math.Clamp(BlockLength / width, 1, Columns);
        float[] block = ArrayPool<float>.Shared.Rent(together * width);
        for (int column = 0; column < Columns; column += together)
        {
            int columns = Math.Min(together, Columns - column);
            stored.Decode(column, columns, block.AsSpan(0, columns * width));
            for (int row = 0; row < rowCount; row += Tile)
            {
                Transpose(block.AsSpan(first + step * (firstRow + row)), destination[(row * Columns + column)..], Math.Min(Tile, rowCount - row), columns);
            }
        }

        ArrayPool<float>.Shared.Return(block);
    }

    private void Transpose(ReadOnlySpan<float> block, Span<float> to, int rows, int columns)
    {
        for (int column = 0; column < columns; column++)
        {
            var from = block[(column * stored.Columns)..];
            for (int row = 0; row < rows; row++) to[row * Columns + column] = from[row * step];
        }
    }
}
