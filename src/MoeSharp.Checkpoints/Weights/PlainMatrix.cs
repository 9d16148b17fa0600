using System.Runtime.InteropServices;

namespace MoeSharp.Checkpoints;

/// <summary>A matrix of float32, bfloat16 or float16 numbers, one after the other.</summary>
internal sealed class PlainMatrix(int rows, int columns, TensorData tensor) : WeightMatrix(tensor.Info.Name, rows, columns)
{
    /// <summary>The types of numbers that are read as they are.</summary>
    public static readonly TensorType[] Types = [TensorType.F32, TensorType.BF16, TensorType.F16];

    /// <inheritdoc/>
    public override string Format => tensor.Info.Type.FileName();

    /// <inheritdoc/>
    public override IReadOnlyList<TensorData> Parts => [tensor];

    private TensorType Type => tensor.Info.Type;

    private int Size => PlainNumbers.Size(Type);

    internal override TensorType? PlainType => Type;

    /// <summary>All numbers of a tensor as float32.</summary>
    public static float[] ReadAll(TensorData tensor)
    {
        long count = tensor.Info.ByteCount / PlainNumbers.Size(tensor.Info.Type);
        byte[] bytes = new byte[tensor.Info.ByteCount];
        tensor.Read(0, bytes);      // not mapped: of every small vector that is touched the system would fetch megabytes after it
        var values = new float[count];
        PlainNumbers.Widen(bytes, tensor.Info.Type, values);
        return values;
    }

    internal override float Value(int row, int column)
    {
        var bytes = tensor.Bytes(((long)row * Columns + column) * Size, Size);
        return Type switch
        {
            TensorType.F32 => MemoryMarshal.Read<float>(bytes),
            TensorType.BF16 => BitConverter.Int32BitsToSingle(MemoryMarshal.Read<ushort>(bytes) << 16),
            _ => (float)MemoryMarshal.Read<Half>(bytes),
        };
    }

    internal override bool TryGetBits(out ReadOnlySpan<ushort> bits)
    {
        bool isHere = Type == TensorType.BF16 && (long)Rows * Columns * Size <= int.MaxValue;
        bits = isHere ? MemoryMarshal.Cast<byte, ushort>(Bytes(0, Rows)) : [];
        return isHere;
    }

    internal override bool TryGetValues(out ReadOnlySpan<float> values)
    {
        bool isHere = Type == TensorType.F32 && (long)Rows * Columns * Size <= int.MaxValue;
        values = isHere ? MemoryMarshal.Cast<byte, float>(Bytes(0, Rows)) : [];
        return isHere;
    }

    internal override WeightMatrix RowsFrom(int first, int step, int count) => step == 1
        ? new PlainMatrix(count, Columns, tensor.Part((long)first * Columns * Size, [count, Columns]))
        : base.RowsFrom(first, step, count);

    private protected override void DecodeRows(int firstRow, int rowCount, Span<float> destination)
    {
        for (int row = 0; row < rowCount; row++)        // a row fits a span whatever the type, all rows need not
        {
            PlainNumbers.Widen(Bytes(firstRow + row, 1), Type, destination.Slice(row * Columns, Columns));
        }
    }

    // by reading: what is copied whole need not stay mapped
    private protected override void CopyRows(int firstRow, int rowCount, Span<byte> destination) => tensor.Read((long)firstRow * Columns * Size, destination);

    private ReadOnlySpan<byte> Bytes(int firstRow, int rowCount) => tensor.Bytes((long)firstRow * Columns * Size, rowCount * Columns * Size);
}
