namespace MoeSharp.Checkpoints;

/// <summary>The rows of matrices of equal shapes as one: those of each after those of the one before, or taking turns.</summary>
internal sealed class JoinedRows(IReadOnlyList<WeightMatrix> matrices, RowOrder order)
    : WeightMatrix(matrices[0].Name, matrices.Sum(matrix => matrix.Rows), matrices[0].Columns)
{
    /// <inheritdoc/>
    public override string Format => matrices[0].Format;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [.. matrices.SelectMany(matrix => matrix.Parts)];

    internal override TensorType? PlainType => matrices.All(matrix => matrix.PlainType == matrices[0].PlainType) ? matrices[0].PlainType : null;

    internal override float Value(int row, int column)
    {
        var (matrix, at) = Find(row);
        return matrix.Value(at, column);
    }

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        for (int row = 0, rows; row < rowCount; row += rows)
        {
            var (matrix, at) = Find(firstRow + row);
            rows = Together(at, rowCount - row);
            matrix.Decode(at, rows, destination[(row * Columns)..]);
        }
    }

    private protected override void CopyRows(int firstRow, int rowCount, Span<byte> destination)
    {
        int rowBytes = destination.Length / rowCount;
        for (int row = 0, rows; row < rowCount; row += rows)
        {
            var (matrix, at) = Find(firstRow + row);
            rows = Together(at, rowCount - row);
            matrix.Copy(at, rows, destination[(row * rowBytes)..]);
        }
    }

    private (WeightMatrix Matrix, int Row) Find(int row)
    {
        int each = Rows / matrices.Count;
        return order == RowOrder.Halves ? (matrices[row / each], row % each) : (matrices[row % matrices.Count], row / matrices.Count);
    }

    private int Together(int row, int most) => order == RowOrder.Halves ? Math.Min(most, Rows / matrices.Count - row) : 1;
}
