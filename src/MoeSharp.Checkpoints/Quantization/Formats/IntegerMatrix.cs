using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Whole numbers with a scale and a zero point for each group of columns: <c>W[i, j] = (q[i, j] - z[i, g]) · s[i, g]</c> with
/// <c>g = j / group size</c>, or <c>g = g_idx[j]</c>. What a format adds is where it keeps the three.
/// </summary>
internal abstract class IntegerMatrix(string name, int rows, int columns, IntegerGroups groups) : QuantizedMatrix(name, rows, columns)
{
    private const int RowsAtOnce = 16;      // the words of as many outputs are a line of the cache, where outputs lie side by side

    public IntegerGroups Groups => groups;

    /// <summary>Bits of a code: 2, 4 or 8.</summary>
    public abstract int Bits { get; }

    private int RowBytes => (int)PackedCodes.ByteCount(Columns, Bits);

    internal override float Value(int row, int column)
    {
        int group = Groups.Of(column);
        return (Code(row, column) - Zero(row, group)) * Scale(row, group);
    }

    /// <summary>A number as it is stored.</summary>
    protected abstract int Code(int row, int column);

    /// <summary>The zero point of a group, in the same terms as the stored numbers.</summary>
    protected abstract int Zero(int row, int group);

    protected abstract float Scale(int row, int group);

    /// <summary>The codes of rows, lowest bits first and each row at a whole byte, in <paramref name="buffer"/> or where they lie.</summary>
    protected abstract ReadOnlySpan<byte> Codes(int firstRow, int rowCount, Span<byte> buffer);

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(RowsAtOnce * RowBytes);
        for (int first = 0; first < rowCount; first += RowsAtOnce)
        {
            int count = Math.Min(RowsAtOnce, rowCount - first);
            var codes = Codes(firstRow + first, count, buffer.AsSpan(0, count * RowBytes));
            for (int i = 0; i < count; i++)
            {
                var to = destination.Slice((first + i) * Columns, Columns);
                if (Groups.OfColumn is null) DecodeRow(firstRow + first + i, codes.Slice(i * RowBytes, RowBytes), to);
                else DecodeScattered(firstRow + first + i, codes.Slice(i * RowBytes, RowBytes), to);
            }
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    private void DecodeRow(int row, ReadOnlySpan<byte> codes, Span<float> to)
    {
        int group = 0;
        for (int column = 0; column < to.Length; column += Groups.Size)
        {
            int count = Math.Min(Groups.Size, to.Length - column);
            IntegerCodes.Decode(codes[(column * Bits / 8)..], Bits, Zero(row, group), Scale(row, group), to.Slice(column, count));
            group++;
        }
    }

    // columns in any order of groups: the differences at once, then each by the scale of its group
    private void DecodeScattered(int row, ReadOnlySpan<byte> codes, Span<float> to)
    {
        var (zeros, scales) = (ArrayPool<float>.Shared.Rent(Groups.Count), ArrayPool<float>.Shared.Rent(Groups.Count));
        for (int group = 0; group < Groups.Count; group++) (zeros[group], scales[group]) = (Zero(row, group), Scale(row, group));

        IntegerCodes.Decode(codes, Bits, zero: 0, scale: 1, to);
        ReadOnlySpan<int> ofColumn = Groups.OfColumn;
        for (int column = 0; column < to.Length; column++) to[column] = (to[column] - zeros[ofColumn[column]]) * scales[ofColumn[column]];

        ArrayPool<float>.Shared.Return(zeros);
        ArrayPool<float>.Shared.Return(scales);
    }
}

/// <summary>The groups of columns that share a scale.</summary>
/// <param name="Size">Columns of a group; the last group may have fewer.</param>
/// <param name="Count">The number of groups.</param>
/// <param name="OfColumn">The group of each column where they do not lie side by side; else null.</param>
internal sealed record IntegerGroups(int Size, int Count, int[]? OfColumn)
{
    public int Of(int column) => OfColumn is null ? column / Size : OfColumn[column];
}
