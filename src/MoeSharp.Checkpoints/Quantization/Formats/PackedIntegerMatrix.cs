namespace MoeSharp.Checkpoints;

/// <summary>
/// compressed-tensors <c>pack-quantized</c>: 32-bit words along the inputs, lowest bits first, numbers stored with an offset of half their
/// range (int4: q = nibble - 8), zero points packed likewise but along the outputs.
/// </summary>
internal sealed class PackedIntegerMatrix(string name, int rows, int columns, int bits, IntegerGroups groups, TensorData codes, ScaleGrid grid, TensorData? zeros)
    : IntegerMatrix(name, rows, columns, groups)
{
    private const int WordBits = 32;

    /// <inheritdoc/>
    public override string Format => $"int{Bits} in groups of {Groups.Size}{(zeros is null ? "" : ", asymmetric")}{(Groups.OfColumn is null ? "" : ", g_idx")} (pack-quantized)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => zeros is null ? [codes, grid.Scales] : [codes, grid.Scales, zeros];

    public override int Bits => bits;

    private long StoredRowBytes => (Columns * (long)Bits + WordBits - 1) / WordBits * sizeof(int);

    protected override int Code(int row, int column) =>
        PackedCodes.At(codes.Bytes(row * StoredRowBytes, (int)StoredRowBytes), column, Bits);

    // both have the offset, so it drops out of their difference
    protected override int Zero(int row, int group)
    {
        if (zeros is null) return 1 << (Bits - 1);

        int perWord = WordBits / Bits;
        uint word = BitConverter.ToUInt32(zeros.Bytes(((long)(row / perWord) * Groups.Count + group) * sizeof(uint), sizeof(uint)));
        return (int)(word >> (row % perWord * Bits)) & ((1 << Bits) - 1);
    }

    protected override float Scale(int row, int group) => grid.At(row, group * grid.BlockColumns);

    protected override void ReadGroups(int row, Span<int> zeroPoints, Span<float> to)
    {
        grid.Read(row, to);
        for (int group = 0; group < zeroPoints.Length; group++) zeroPoints[group] = Zero(row, group);
    }

    protected override ReadOnlySpan<byte> Codes(int firstRow, int rowCount, Span<byte> buffer)
    {
        int stride = buffer.Length / rowCount, stored = (int)StoredRowBytes;
        if (stride == stored) return codes.Bytes(firstRow * StoredRowBytes, buffer.Length);

        for (int i = 0; i < rowCount; i++) codes.Bytes((firstRow + i) * StoredRowBytes, stride).CopyTo(buffer[(i * stride)..]);
        return buffer;
    }
}
