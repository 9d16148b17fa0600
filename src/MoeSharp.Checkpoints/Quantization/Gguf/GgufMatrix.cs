namespace MoeSharp.Checkpoints;

/// <summary>Rows of blocks, one after the other.</summary>
internal sealed class GgufMatrix<TBlock>(string name, int rows, int columns, TensorData blocks) : WeightMatrix(name, rows, columns)
    where TBlock : struct, IGgufBlock
{
    /// <inheritdoc/>
    public override string Format => $"{TBlock.Name} (GGUF)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [blocks];

    private int RowBytes => Columns / TBlock.Length * TBlock.ByteCount;

    internal override float Value(int row, int column) =>
        TBlock.Value(blocks.Bytes((long)row * RowBytes + (long)(column / TBlock.Length) * TBlock.ByteCount, TBlock.ByteCount), column % TBlock.Length);

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        for (int row = 0; row < rowCount; row++)
        {
            var from = blocks.Bytes((long)(firstRow + row) * RowBytes, RowBytes);
            var to = destination.Slice(row * Columns, Columns);
            if (TBlock.Length == 1) TBlock.Decode(from, to);    // a row is one run of numbers
            else DecodeBlocks(from, to);
        }
    }

    private static void DecodeBlocks(ReadOnlySpan<byte> from, Span<float> to)
    {
        for (int i = 0; i < to.Length / TBlock.Length; i++)
        {
            TBlock.Decode(from.Slice(i * TBlock.ByteCount, TBlock.ByteCount), to.Slice(i * TBlock.Length, TBlock.Length));
        }
    }
}
