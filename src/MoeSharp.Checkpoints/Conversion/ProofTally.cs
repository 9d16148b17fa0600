using System.Buffers;

namespace MoeSharp.Checkpoints;

/// <summary>Compares numbers of a source and a target, and keeps count by kind and types.</summary>
internal sealed class ProofTally
{
    private const int BlockLength = 1 << 22, ByteBlock = 1 << 20;

    private readonly OrderedDictionary<(string Kind, string From, string To), Row> _rows = [];

    /// <summary>What was compared.</summary>
    public IReadOnlyList<ProofRow> Rows => [.. _rows.Select(row => new ProofRow(row.Key.Kind, row.Key.From, row.Key.To, row.Value.Count, row.Value.Compared, row.Value.Different, row.Value.Largest, row.Value.Limit))];

    /// <summary>Compares two matrices: bits where the type is the same, else what the source rounds to.</summary>
    public void Compare(string kind, WeightMatrix source, WeightMatrix target)
    {
        var row = RowOf(kind, Form(source), Form(target), source.PlainType == target.PlainType ? null : target.PlainType);
        row.Count++;
        if (source.Columns == 0) return;

        int step = Math.Clamp(BlockLength / source.Columns, 1, Math.Max(1, source.Rows));
        float[] block = ArrayPool<float>.Shared.Rent(2 * step * source.Columns);
        for (int first = 0; first < source.Rows; first += step)
        {
            int rows = Math.Min(step, source.Rows - first), length = rows * source.Columns;
            Span<float> expected = block.AsSpan(0, length), actual = block.AsSpan(length, length);
            Read(source, first, rows, expected);
            Read(target, first, rows, actual);
            row.Compare(expected, actual);
        }

        ArrayPool<float>.Shared.Return(block);
    }

    /// <summary>Compares two vectors of known types.</summary>
    public void Compare(string kind, IReadOnlyList<float> source, TensorType from, IReadOnlyList<float> target, TensorType to)
    {
        var row = RowOf(kind, from.FileName(), to.FileName(), from == to ? null : to);
        row.Count++;
        row.Compare([.. source], [.. target]);
    }

    /// <summary>Compares two tensors of the same shape: their bytes, or plain numbers of two types.</summary>
    public void Compare(string kind, TensorData source, TensorData target)
    {
        var (from, to) = (source.Info.Type, target.Info.Type);
        var row = RowOf(kind, from.FileName(), to.FileName(), from == to ? null : to);
        row.Count++;
        if (from == to) CompareBytes(row, source, target);
        else CompareNumbers(row, source, target);
    }

    private static void CompareBytes(Row row, TensorData source, TensorData target)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(2 * ByteBlock);
        for (long at = 0; at < source.Info.ByteCount; at += ByteBlock)
        {
            int length = (int)Math.Min(ByteBlock, source.Info.ByteCount - at);
            source.Read(at, bytes.AsSpan(0, length));
            target.Read(at, bytes.AsSpan(length, length));
            row.CompareBytes(bytes.AsSpan(0, length), bytes.AsSpan(length, length));
        }

        ArrayPool<byte>.Shared.Return(bytes);
    }

    private static void CompareNumbers(Row row, TensorData source, TensorData target)
    {
        long count = source.Info.ByteCount / PlainNumbers.Size(source.Info.Type);
        float[] values = ArrayPool<float>.Shared.Rent(2 * ByteBlock);
        for (long at = 0; at < count; at += ByteBlock)
        {
            int length = (int)Math.Min(ByteBlock, count - at);
            Read(source, at, values.AsSpan(0, length));
            Read(target, at, values.AsSpan(length, length));
            row.Compare(values.AsSpan(0, length), values.AsSpan(length, length));
        }

        ArrayPool<float>.Shared.Return(values);
    }

    private static void Read(TensorData tensor, long first, Span<float> values)
    {
        int size = PlainNumbers.Size(tensor.Info.Type);
        byte[] bytes = ArrayPool<byte>.Shared.Rent(values.Length * size);
        tensor.Read(first * size, bytes.AsSpan(0, values.Length * size));
        PlainNumbers.Widen(bytes.AsSpan(0, values.Length * size), tensor.Info.Type, values);
        ArrayPool<byte>.Shared.Return(bytes);
    }

    // plain numbers by reading, which leaves no pages mapped
    private static void Read(WeightMatrix matrix, int first, int rows, Span<float> values)
    {
        if (matrix.PlainType is not { } type)
        {
            matrix.Decode(first, rows, values);
            return;
        }

        byte[] bytes = ArrayPool<byte>.Shared.Rent(values.Length * PlainNumbers.Size(type));
        matrix.Copy(first, rows, bytes);
        PlainNumbers.Widen(bytes.AsSpan(0, values.Length * PlainNumbers.Size(type)), type, values);
        ArrayPool<byte>.Shared.Return(bytes);
    }

    private static string Form(WeightMatrix matrix) => matrix.PlainType?.FileName() ?? matrix.Format;

    private Row RowOf(string kind, string from, string to, TensorType? rounding)
    {
        if (!_rows.TryGetValue((kind, from, to), out var row)) _rows.Add((kind, from, to), row = new Row(rounding is TensorType.BF16 or TensorType.F16 ? rounding : null));
        return row;
    }

    /// <summary>The count of a kind.</summary>
    /// <param name="rounding">The type that the source's numbers are rounded to; null where bits must be the same.</param>
    private sealed class Row(TensorType? rounding)
    {
        public long Count { get; set; }

        public long Compared { get; private set; }

        public long Different { get; private set; }

        public double Largest { get; private set; }

        public string Limit => rounding is { } type ? $"rounded once to {type.FileName()}: half a unit in the last place" : "the same bits";

        public void Compare(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
        {
            Compared += source.Length;
            Different += Math.Abs(source.Length - target.Length);
            for (int i = 0; i < Math.Min(source.Length, target.Length); i++)
            {
                if (BitConverter.SingleToInt32Bits(source[i]) != BitConverter.SingleToInt32Bits(target[i])) CompareOne(source[i], target[i]);
            }
        }

        public void CompareBytes(ReadOnlySpan<byte> source, ReadOnlySpan<byte> target)
        {
            Compared += source.Length;
            if (source.SequenceEqual(target)) return;

            for (int i = 0; i < source.Length; i++) Different += source[i] == target[i] ? 0 : 1;
        }

        private void CompareOne(float source, float target)
        {
            Largest = Math.Max(Largest, double.IsNaN((double)source - target) ? 0 : Math.Abs((double)source - target));
            float rounded = rounding switch
            {
                TensorType.BF16 => BitConverter.UInt32BitsToSingle((uint)BFloat16Values.Round(source) << 16),
                TensorType.F16 => (float)(Half)source,
                _ => source,
            };
            bool isRight = rounding is not null && (float.IsNaN(source) ? float.IsNaN(target) : BitConverter.SingleToInt32Bits(rounded) == BitConverter.SingleToInt32Bits(target) && float.IsFinite(source) == float.IsFinite(target));
            if (!isRight) Different++;
        }
    }
}
