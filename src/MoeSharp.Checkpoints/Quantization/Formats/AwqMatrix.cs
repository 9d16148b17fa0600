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
        int stride = buffer.Length / rowCount, across = Rows / PerWord, column = 0;
        for (; column + PerWord <= Columns; column += PerWord)
        {
            var lines = MemoryMarshal.Cast<byte, uint>(parts.Codes.Bytes((long)column * across * sizeof(uint), PerWord * across * sizeof(uint)));
            for (int word = firstRow / PerWord; word * PerWord < firstRow + rowCount; word++) Transpose(lines, word, firstRow, rowCount, buffer[(column / 2)..], stride);
        }

        for (int row = 0; row < rowCount && column < Columns; row++)
        {
            buffer[(row * stride + column / 2)..((row + 1) * stride)].Clear();
            for (int rest = column; rest < Columns; rest++) buffer[row * stride + rest / 2] |= (byte)(Code(firstRow + row, rest) << (rest % 2 * 4));
        }

        return buffer;
    }

    /// <summary>
    /// A word of eight outputs from each of eight inputs, to a word of eight inputs for each output: a transposition of 8x8 nibbles by swaps
    /// of single ones, of pairs and of fours.
    /// </summary>
    private static void Transpose(ReadOnlySpan<uint> lines, int word, int firstRow, int rowCount, Span<byte> buffer, int stride)
    {
        Span<uint> words = stackalloc uint[PerWord];
        for (int i = 0; i < PerWord; i++) words[i] = lines[i * (lines.Length / PerWord) + word];

        for (int i = 0; i < PerWord; i += 2) Swap(ref words[i], ref words[i + 1], 4, 0x0f0f0f0f);
        for (int i = 0; i < PerWord; i += i % 4 == 0 ? 1 : 3) Swap(ref words[i], ref words[i + 2], 8, 0x00ff00ff);
        for (int i = 0; i < PerWord / 2; i++) Swap(ref words[i], ref words[i + 4], 16, 0x0000ffff);

        int end = Math.Min((word + 1) * PerWord, firstRow + rowCount);
        for (int row = Math.Max(word * PerWord, firstRow); row < end; row++) BitConverter.TryWriteBytes(buffer[((row - firstRow) * stride)..], words[ShiftOf(row) / 4]);
    }

    private static void Swap(ref uint low, ref uint high, int shift, uint mask)
    {
        uint difference = ((low >> shift) ^ high) & mask;
        high ^= difference;
        low ^= difference << shift;
    }

    /// <summary>Where an output's bits are in its word: even outputs in the lower half, odd ones in the upper.</summary>
    private static int ShiftOf(int row) => (row % PerWord / 2 + row % 2 * 4) * 4;

    private int Number(TensorData tensor, int row, int line)
    {
        long word = (long)line * (Rows / PerWord) + row / PerWord;
        return (int)(BitConverter.ToUInt32(tensor.Bytes(word * sizeof(uint), sizeof(uint))) >> ShiftOf(row)) & 0xf;
    }
}
