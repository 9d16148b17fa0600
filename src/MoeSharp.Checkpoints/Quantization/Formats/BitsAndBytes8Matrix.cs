namespace MoeSharp.Checkpoints;

/// <summary>bitsandbytes int8: <c>W[i, j] = q · SCB[i] · (1 / 127)</c>, rounded after each multiplication, as its dequantizer does.</summary>
internal sealed class BitsAndBytes8Matrix(string name, int rows, int columns, TensorData codes, TensorData scales) : WeightMatrix(name, rows, columns)
{
    private const float Reciprocal = 7.874015718698502e-3f;

    /// <inheritdoc/>
    public override string Format => "int8 per channel (bitsandbytes)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [codes, scales];

    internal override float Value(int row, int column)
    {
        float scaled = (sbyte)codes.Bytes((long)row * Columns + column, 1)[0] * ScaleValues.Read(scales, row);
        return scaled * Reciprocal;
    }

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        for (int i = 0; i < rowCount; i++)
        {
            var to = destination.Slice(i * Columns, Columns);
            ScaledCodes.Decode<SignedByteCode>(codes.Bytes((long)(firstRow + i) * Columns, Columns), ScaleValues.Read(scales, firstRow + i), to);
            foreach (ref float value in to) value *= Reciprocal;
        }
    }
}
