using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Codes, row by row, with a grid of scales: <c>W[i, j] = value(code[i, j]) · scale[i / b, j / c]</c>. Most formats are this with a code
/// and a grid of their own; <see cref="QuantizedWeights"/> says which.
/// </summary>
internal sealed class ScaledMatrix<TCode>(string name, string format, int rows, int columns, TensorData codes, ScaleGrid grid) : WeightMatrix(name, rows, columns)
    where TCode : struct, IWeightCode
{
    /// <inheritdoc/>
    public override string Format => format;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [Codes, Grid.Scales];

    /// <summary>The codes, each row at a whole byte.</summary>
    public TensorData Codes => codes;

    public ScaleGrid Grid => grid;

    private int RowBytes => (int)PackedCodes.ByteCount(Columns, TCode.Bits);

    internal override float Value(int row, int column)
    {
        byte code = PackedCodes.At(Codes.Bytes((long)row * RowBytes, RowBytes), column, TCode.Bits);
        return TCode.Value(code) * Grid.At(row, column);
    }

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(Grid.Across);
        var scales = rented.AsSpan(0, Grid.Across);
        int known = -1;     // the row of the grid that was read last
        for (int i = 0; i < rowCount; i++)
        {
            int row = firstRow + i;
            if (row / Grid.BlockRows != known) Grid.Read(row, scales);
            known = row / Grid.BlockRows;
            ScaledCodes.Decode<TCode>(Codes.Bytes((long)row * RowBytes, RowBytes), scales, Grid.BlockColumns, destination.Slice(i * Columns, Columns));
        }

        ArrayPool<float>.Shared.Return(rented);
    }
}
