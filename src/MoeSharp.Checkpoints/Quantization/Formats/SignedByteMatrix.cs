namespace MoeSharp.Checkpoints;

/// <summary>
/// compressed-tensors <c>int-quantized</c> with zero points: signed bytes for numbers and for zero points. Without zero points it is a
/// <see cref="ScaledMatrix{TCode}"/>.
/// </summary>
internal sealed class SignedByteMatrix(string name, int rows, int columns, ScaleGrid grid, TensorData codes, TensorData zeros) : WeightMatrix(name, rows, columns)
{
    /// <inheritdoc/>
    public override string Format => "int8, asymmetric (int-quantized)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [codes, grid.Scales, zeros];

    internal override float Value(int row, int column) =>
        ((sbyte)codes.Bytes((long)row * Columns + column, 1)[0] - ZeroAt(row, column / grid.BlockColumns)) * grid.At(row, column);

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        for (int i = 0; i < rowCount; i++)
        {
            int row = firstRow + i;
            var to = destination.Slice(i * Columns, Columns);
            ScaledCodes.Decode<SignedByteCode>(codes.Bytes((long)row * Columns, Columns), 1, to);
            for (int column = 0; column < Columns; column += grid.BlockColumns)
            {
                var (zero, scale) = (ZeroAt(row, column / grid.BlockColumns), grid.At(row, column));
                foreach (ref float value in to.Slice(column, Math.Min(grid.BlockColumns, Columns - column))) value = (value - zero) * scale;
            }
        }
    }

    private sbyte ZeroAt(int row, int block) => (sbyte)zeros.Bytes((long)(row / grid.BlockRows) * grid.Across + block, 1)[0];
}
