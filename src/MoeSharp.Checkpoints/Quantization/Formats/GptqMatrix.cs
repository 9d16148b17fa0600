using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>
/// GPTQ: <c>qweight</c> [in / n, out], words of n numbers along the inputs; <c>qzeros</c> [groups, out / n], words along the outputs;
/// <c>scales</c> [groups, out]. Version 1 stores zero points less one: GPTQModel subtracts from whole words, so a zero point of 0 borrows
/// from its neighbour, and adding to whole words gives them back.
/// </summary>
internal sealed class GptqMatrix(string name, int rows, int columns, int bits, bool isVersion1, IntegerGroups groups, GptqParts parts)
    : IntegerMatrix(name, rows, columns, groups)
{
    /// <inheritdoc/>
    public override string Format => $"int{Bits} in groups of {Groups.Size}{(Groups.OfColumn is null ? "" : ", g_idx")} (GPTQ {(isVersion1 ? "v1" : "v2")})";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [parts.Codes, parts.Zeros, parts.Scales];

    public override int Bits => bits;

    private int PerWord => 32 / Bits;

    private int Mask => (1 << Bits) - 1;

    /// <summary>One in the place of each number of a word.</summary>
    public static uint Ones(int bits) => uint.MaxValue / ((1u << bits) - 1);

    protected override int Code(int row, int column) =>
        (int)(Word(parts.Codes, (long)(column / PerWord) * Rows + row) >> (column % PerWord * Bits)) & Mask;

    protected override int Zero(int row, int group)
    {
        long across = (Rows + PerWord - 1) / PerWord;
        uint word = Word(parts.Zeros, group * across + row / PerWord) + (isVersion1 ? Ones(Bits) : 0);
        return (int)(word >> (row % PerWord * Bits)) & Mask;
    }

    protected override float Scale(int row, int group) => ScaleValues.Read(parts.Scales, (long)group * Rows + row);

    protected override ReadOnlySpan<byte> Codes(int firstRow, int rowCount, Span<byte> buffer)
    {
        var words = MemoryMarshal.Cast<byte, int>(buffer);
        int deep = words.Length / rowCount;
        for (int i = 0; i < deep; i++)
        {
            var line = MemoryMarshal.Cast<byte, int>(parts.Codes.Bytes(((long)i * Rows + firstRow) * sizeof(int), rowCount * sizeof(int)));
            for (int row = 0; row < line.Length; row++) words[row * deep + i] = line[row];
        }

        return buffer;
    }

    private static uint Word(TensorData tensor, long index) => BitConverter.ToUInt32(tensor.Bytes(index * sizeof(uint), sizeof(uint)));
}

/// <summary>The tensors of a GPTQ or AWQ weight.</summary>
/// <param name="Codes"><c>qweight</c>.</param>
/// <param name="Zeros"><c>qzeros</c>.</param>
/// <param name="Scales"><c>scales</c>.</param>
internal sealed record GptqParts(TensorData Codes, TensorData Zeros, TensorData Scales);
