using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Whole numbers with a scale and a zero point for each group of columns: <c>W[i, j] = (q[i, j] - z[i, g]) · s[i, g]</c> with
/// <c>g = j / group size</c>, or <c>g = g_idx[j]</c>. What a format adds is where it keeps the three.
/// </summary>
internal abstract class IntegerMatrix(string name, int rows, int columns, IntegerGroups groups) : WeightMatrix(name, rows, columns)
{
    private const int RowsAtOnce = 64;      // where outputs lie side by side, as many take whole lines of the cache

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

    /// <summary>The zero points and scales of a row's groups.</summary>
    protected virtual void ReadGroups(int row, Span<int> zeros, Span<float> scales)
    {
        for (int group = 0; group < scales.Length; group++) (zeros[group], scales[group]) = (Zero(row, group), Scale(row, group));
    }

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Min(RowsAtOnce, rowCount) * RowBytes);
        var (zeros, scales) = (ArrayPool<int>.Shared.Rent(Groups.Count), ArrayPool<float>.Shared.Rent(Groups.Count));
        for (int first = 0; first < rowCount; first += RowsAtOnce)
        {
            int count = Math.Min(RowsAtOnce, rowCount - first);
            var codes = Codes(firstRow + first, count, buffer.AsSpan(0, count * RowBytes));
            for (int i = 0; i < count; i++)
            {
                ReadGroups(firstRow + first + i, zeros.AsSpan(0, Groups.Count), scales.AsSpan(0, Groups.Count));
                DecodeRow(codes.Slice(i * RowBytes, RowBytes), zeros.AsSpan(0, Groups.Count), scales.AsSpan(0, Groups.Count), destination.Slice((first + i) * Columns, Columns));
            }
        }

        ArrayPool<float>.Shared.Return(scales);
        ArrayPool<int>.Shared.Return(zeros);
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private void DecodeRow(ReadOnlySpan<byte> codes, ReadOnlySpan<int> zeros, ReadOnlySpan<float> scales, Span<float> to)
    {
        if (Groups.OfColumn is null)
        {
            IntegerCodes.Decode(codes, Bits, zeros, scales, Groups.Size, to);
            return;
        }

        // columns in any order of groups: the numbers at once, then each by what its group has
        IntegerCodes.Decode(codes, Bits, zero: 0, scale: 1, to);
        ReadOnlySpan<int> ofColumn = Groups.OfColumn;
        for (int column = 0; column < to.Length; column++) to[column] = (to[column] - zeros[ofColumn[column]]) * scales[ofColumn[column]];
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
