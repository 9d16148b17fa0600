using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>
/// AWQ (gemm): <c>qweight</c> [in, out / 8], words of eight outputs in the order 0, 2, 4, 6, 1, 3, 5, 7, lowest bits first; <c>qzeros</c>
/// [groups, out / 8] in the same order; <c>scales</c> [groups, out].
/// </summary>
internal sealed class AwqMatrix(string name, int rows, int columns, IntegerGroups groups, GptqParts parts) : IntegerMatrix(name, rows, columns, groups)
{
    private const int PerWord = 8;

    /// <inheritdoc/>
    public override string Format => $"int4 in groups of {Groups.Size} (AWQ)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [parts.Codes, parts.Zeros, parts.Scales];

    public override int Bits => 4;

    protected override int Code(int row, int column) => Number(parts.Codes, row, column);

    protected override int Zero(int row, int group) => Number(parts.Zeros, row, group);

    protected override float Scale(int row, int group) => ScaleValues.Read(parts.Scales, (long)group * Rows + row);

    protected override ReadOnlySpan<byte> Codes(int firstRow, int rowCount, Span<byte> buffer)
    {
        int stride = buffer.Length / rowCount, across = Rows / PerWord, firstWord = firstRow / PerWord;
        int words = (firstRow + rowCount - 1) / PerWord - firstWord + 1;
        buffer.Clear();
        for (int column = 0; column < Columns; column++)
        {
            var line = MemoryMarshal.Cast<byte, uint>(parts.Codes.Bytes(((long)column * across + firstWord) * sizeof(uint), words * sizeof(uint)));
            for (int i = 0; i < rowCount; i++)
            {
                int row = firstRow + i;
                uint number = (line[row / PerWord - firstWord] >> ShiftOf(row)) & 0xf;
                buffer[i * stride + column / 2] |= (byte)(number << (column % 2 * 4));
            }
        }

        return buffer;
    }

    /// <summary>Where an output's bits are in its word: even outputs in the lower half, odd ones in the upper.</summary>
    private static int ShiftOf(int row) => (row % PerWord / 2 + row % 2 * 4) * 4;

    private int Number(TensorData tensor, int row, int line)
    {
        long word = (long)line * (Rows / PerWord) + row / PerWord;
        return (int)(BitConverter.ToUInt32(tensor.Bytes(word * sizeof(uint), sizeof(uint))) >> ShiftOf(row)) & 0xf;
    }
}
