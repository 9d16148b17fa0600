namespace MoeSharp.Checkpoints;

/// <summary>Rows of a matrix at equal distances: a half of it, or every second row.</summary>
internal sealed class StridedRows(WeightMatrix matrix, int first, int step, int count) : WeightMatrix(matrix.Name, count, matrix.Columns)
{
    /// <inheritdoc/>
    public override string Format => matrix.Format;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => matrix.Parts;

    internal override float Value(int row, int column) => matrix.Value(first + step * row, column);

    internal override TensorType? PlainType => matrix.PlainType;

    private protected override void CopyRows(int firstRow, int rowCount, Span<byte> destination)
    {
        int rowBytes = destination.Length / rowCount;
        if (step == 1) matrix.Copy(first + firstRow, rowCount, destination);
        else for (int row = 0; row < rowCount; row++) matrix.Copy(first + step * (firstRow + row), 1, destination[(row * rowBytes)..]);
    }

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
