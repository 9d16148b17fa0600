namespace MoeSharp.Checkpoints;

/// <summary>Rows of a matrix at equal distances: a half of it, or every second row.</summary>
internal sealed class StridedRows(WeightMatrix matrix, int first, int step, int count) : WeightMatrix(matrix.Name, count, matrix.Columns)
{
    /// <inheritdoc/>
    public override string Format => matrix.Format;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => matrix.Parts;

    internal override float Value(int row, int column) => matrix.Value(first + step * row, column);

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        if (step == 1)
        {
            matrix.Decode(first + firstRow, rowCount, destination);
            return;
        }

        for (int row = 0; row < rowCount; row++) matrix.Decode(first + step * (firstRow + row), 1, destination[(row * Columns)..]);
    }
}
