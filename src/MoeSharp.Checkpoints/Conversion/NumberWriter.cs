using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Writes weights as plain numbers of a type, block by block through rented buffers: bits as they are where the type stays, else rounded once
/// from float32.
/// </summary>
internal static class NumberWriter
{
    // a transposed or packed matrix decodes all it has for any few rows: blocks hold most matrices whole
    private const int BlockLength = 1 << 22, CopyBytes = 1 << 20;

    /// <summary>Writes a matrix, row after row.</summary>
    public static void Write(WeightMatrix matrix, TensorType type, Stream to)
    {
        if (matrix.Columns == 0) return;

        int step = Math.Clamp(BlockLength / matrix.Columns, 1, Math.Max(1, matrix.Rows));
        using var block = new Block(step * matrix.Columns);
        for (int row = 0; row < matrix.Rows; row += step)
        {
            int rows = Math.Min(step, matrix.Rows - row);
            var values = block.Values.AsSpan(0, rows * matrix.Columns);
            if (matrix.PlainType == type)
            {
                matrix.Copy(row, rows, block.Bytes);
                to.Write(block.Bytes, 0, values.Length * PlainNumbers.Size(type));
                continue;
            }

            if (matrix.PlainType is { } stored)
            {
                matrix.Copy(row, rows, block.Bytes);
                PlainNumbers.Widen(block.Bytes.AsSpan(0, values.Length * PlainNumbers.Size(stored)), stored, values);
            }
            else
            {
                matrix.Decode(row, rows, values);
            }

            block.Write(values, type, to);
        }
    }

    /// <summary>Writes a tensor: its bytes, or its plain numbers as another type.</summary>
    public static void Write(TensorData tensor, TensorType type, Stream to)
    {
        if (tensor.Info.Type == type) WriteBytes(tensor, to);
        else WriteAs(tensor, type, to);
    }

    private static void WriteBytes(TensorData tensor, Stream to)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(CopyBytes);
        for (long at = 0; at < tensor.Info.ByteCount; at += CopyBytes)
        {
            var part = bytes.AsSpan(0, (int)Math.Min(CopyBytes, tensor.Info.ByteCount - at));
            tensor.Read(at, part);
            to.Write(part);
        }

        ArrayPool<byte>.Shared.Return(bytes);
    }

    private static void WriteAs(TensorData tensor, TensorType type, Stream to)
    {
        int size = PlainNumbers.Size(tensor.Info.Type);
        long count = tensor.Info.ByteCount / size;
        int step = CopyBytes / size;
        using var block = new Block(step);
        for (long at = 0; at < count; at += step)
        {
            var values = block.Values.AsSpan(0, (int)Math.Min(step, count - at));
            var bytes = block.Bytes.AsSpan(0, values.Length * size);
            tensor.Read(at * size, bytes);
            PlainNumbers.Widen(bytes, tensor.Info.Type, values);
            block.Write(values, type, to);
        }
    }

    /// <summary>Numbers on their way: as they are stored, and as float32.</summary>
    private readonly struct Block(int length) : IDisposable
    {
        public byte[] Bytes { get; } = ArrayPool<byte>.Shared.Rent(length * sizeof(float));

        public float[] Values { get; } = ArrayPool<float>.Shared.Rent(length);

        public void Write(ReadOnlySpan<float> values, TensorType type, Stream to)
        {
            var bytes = Bytes.AsSpan(0, values.Length * PlainNumbers.Size(type));
            PlainNumbers.Narrow(values, type, bytes);
            to.Write(bytes);
        }

        public void Dispose()
        {
            ArrayPool<byte>.Shared.Return(Bytes);
            ArrayPool<float>.Shared.Return(Values);
        }
    }
}
