using System.Buffers;
using System.Runtime.InteropServices;

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

    internal override TensorType? PlainType => stored.PlainType;

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination) =>
        Read(firstRow, rowCount, destination, static (matrix, first, count, block) => matrix.Decode(first, count, block));

    private protected override void CopyRows(int firstRow, int rowCount, Span<byte> destination)
    {
        if (PlainType == TensorType.F32) Read(firstRow, rowCount, MemoryMarshal.Cast<byte, uint>(destination), Copy);
        else Read(firstRow, rowCount, MemoryMarshal.Cast<byte, ushort>(destination), Copy);
    }

    private static void Copy<T>(WeightMatrix matrix, int first, int count, Span<T> block)
        where T : unmanaged => matrix.Copy(first, count, MemoryMarshal.AsBytes(block));

    private delegate void RowReader<T>(WeightMatrix matrix, int first, int count, Span<T> block);

    private void Read<T>(int firstRow, int rowCount, Span<T> destination, RowReader<T> read)
    {
        int width = stored.Columns, together = Math.Clamp(BlockLength / width, 1, Columns);
        T[] block = ArrayPool<T>.Shared.Rent(together * width);
        for (int column = 0; column < Columns; column += together)
        {
            int columns = Math.Min(together, Columns - column);
            read(stored, column, columns, block.AsSpan(0, columns * width));
            for (int row = 0; row < rowCount; row += Tile)
            {
                Transpose<T>(block.AsSpan(first + step * (firstRow + row)), destination[(row * Columns + column)..], Math.Min(Tile, rowCount - row), columns);
            }
        }

        ArrayPool<T>.Shared.Return(block);
    }

    private void Transpose<T>(ReadOnlySpan<T> block, Span<T> to, int rows, int columns)
    {
        for (int column = 0; column < columns; column++)
        {
            var from = block[(column * stored.Columns)..];
            for (int row = 0; row < rows; row++) to[row * Columns + column] = from[row * step];
        }
    }
}
