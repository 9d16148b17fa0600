namespace MoeSharp.Checkpoints;

/// <summary>
/// bitsandbytes nf4 and fp4: codes of the flat matrix, upper half of a byte first, in blocks that may reach over the ends of rows:
/// <c>W[k] = quant_map[code k] · absmax[k / blocksize]</c>.
/// </summary>
internal sealed class BitsAndBytes4Matrix(string name, int rows, int columns, string kind, int blockSize, TensorData codes, float[] table, IBlockScales absmax)
    : WeightMatrix(name, rows, columns)
{
    /// <inheritdoc/>
    public override string Format => $"{kind} in blocks of {blockSize}{(absmax is NestedScales ? ", scales quantized too" : "")} (bitsandbytes)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [codes, .. absmax.Parts];

    internal override float Value(int row, int column)
    {
        long index = (long)row * Columns + column;
        return table[TableCodes.At(codes.Bytes(index / 2, 1), (int)(index % 2))] * absmax.At(index / blockSize);
    }

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        long first = (long)firstRow * Columns, end = first + (long)rowCount * Columns;
        for (long index = first; index < end;)
        {
            long block = index / blockSize;
            int count = (int)(Math.Min(end, (block + 1) * blockSize) - index);
            var to = destination.Slice((int)(index - first), count);
            float scale = absmax.At(block);
            if (index % 2 != 0)
            {
                // a block that starts in the middle of a byte
                to[0] = table[codes.Bytes(index / 2, 1)[0] & 0xf] * scale;
                to = to[1..];
                index++;
                count--;
            }

            TableCodes.Decode(codes.Bytes(index / 2, (int)PackedCodes.ByteCount(count, 4)), table, scale, to);
            index += count;
        }
    }
}

/// <summary>A scale for each block of a flat matrix.</summary>
internal interface IBlockScales
{
    IReadOnlyList<TensorData> Parts { get; }

    float At(long block);
}

/// <summary>Scales in float32.</summary>
internal sealed class PlainScales(TensorData scales) : IBlockScales
{
    public IReadOnlyList<TensorData> Parts => [scales];

    public float At(long block) => ScaleValues.Read(scales, block);
}

/// <summary>Scales that are quantized themselves: <c>nested_quant_map[code] · nested_absmax[block / nested_blocksize] + nested_offset</c>.</summary>
internal sealed class NestedScales(TensorData codes, TensorData map, TensorData absmax, int blockSize, float offset) : IBlockScales
{
    public IReadOnlyList<TensorData> Parts => [codes, map, absmax];

    public float At(long block) => ScaleValues.Read(map, codes.Bytes(block, 1)[0]) * ScaleValues.Read(absmax, block / blockSize) + offset;
}
