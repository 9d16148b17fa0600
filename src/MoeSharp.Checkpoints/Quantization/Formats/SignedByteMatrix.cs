namespace MoeSharp.Checkpoints;

/// <summary>
/// compressed-tensors <c>int-quantized</c> with zero points, or with columns in any order of groups: signed bytes for numbers and for zero
/// points. Without either it is a <see cref="ScaledMatrix{TCode}"/>.
/// </summary>
internal sealed class SignedByteMatrix(string name, int rows, int columns, IntegerGroups groups, ScaleGrid grid, TensorData codes, TensorData? zeros)
    : IntegerMatrix(name, rows, columns, groups)
{
    private const int Offset = 128;     // numbers and zero points as bytes without sign: it drops out of their difference

    /// <inheritdoc/>
    public override string Format => $"int8{(zeros is null ? "" : ", asymmetric")}{(Groups.OfColumn is null ? "" : ", g_idx")} (int-quantized)";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => zeros is null ? [codes, grid.Scales] : [codes, grid.Scales, zeros];

    public override int Bits => 8;

    protected override int Code(int row, int column) => (sbyte)codes.Bytes((long)row * Columns + column, 1)[0] + Offset;

    protected override int Zero(int row, int group) => (zeros is null ? 0 : (sbyte)zeros.Bytes((long)(row / grid.BlockRows) * grid.Across + group, 1)[0]) + Offset;

    protected override float Scale(int row, int group) => grid.At(row, group * grid.BlockColumns);

    protected override ReadOnlySpan<byte> Codes(int firstRow, int rowCount, Span<byte> buffer)
    {
        codes.Bytes((long)firstRow * Columns, buffer.Length).CopyTo(buffer);
        foreach (ref byte code in buffer) code ^= Offset;
        return buffer;
    }
}
