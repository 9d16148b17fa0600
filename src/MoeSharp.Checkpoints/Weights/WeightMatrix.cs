using System.Buffers;
using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A matrix of weights as it lies in a file, plain or in a quantized format: decoded by rows on demand, so that memory stays bounded. Rows
/// are outputs and columns inputs, as in <c>nn.Linear</c>, however the file stores them. Immutable; decoding is safe from several threads,
/// and gives the same bits for any rows decoded at once. The bytes belong to their file: once that is closed, decoding fails.
/// </summary>
[DebuggerDisplay("{Name}: {Format} [{Rows}, {Columns}]")]
public abstract class WeightMatrix
{
    private const int BlockLength = 1 << 14;        // values decoded at once on the way to another type: in the nearest caches

    private protected WeightMatrix(string name, int rows, int columns)
    {
        (Name, Rows, Columns) = (name, rows, columns);
    }

    /// <summary>The name of the weight, for messages.</summary>
    public string Name { get; }

    /// <summary>The number of outputs.</summary>
    public int Rows { get; }

    /// <summary>The number of inputs.</summary>
    public int Columns { get; }

    /// <summary>The format in words, such as <c>BF16</c> or <c>E4M3 in blocks of 128x128</c>.</summary>
    public abstract string Format { get; }

    /// <summary>The tensors that hold the weights: one, or codes, scales and zero points. Others may share them.</summary>
    public abstract IReadOnlyList<TensorData> Parts { get; }

    /// <summary>Decodes rows to float32, each weight rounded once as its format's formula says (docs/quantized-formats.md).</summary>
    /// <param name="firstRow">The first row.</param>
    /// <param name="rowCount">How many.</param>
    /// <param name="destination">[rowCount, Columns]; may be longer, what follows is left alone.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no such rows, or they do not fit.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public void Decode(int firstRow, int rowCount, Span<float> destination)
    {
        Check(firstRow, rowCount, destination.Length);
        if (rowCount > 0 && Columns > 0) DecodeRows(firstRow, rowCount, destination[..(rowCount * Columns)]);
    }

    /// <summary>Decodes rows to the bits of bfloat16: what <see cref="Decode(int, int, Span{float})"/> gives, rounded to nearest, ties to even.</summary>
    /// <inheritdoc cref="Decode(int, int, Span{float})"/>
    public void Decode(int firstRow, int rowCount, Span<ushort> destination)
    {
        Check(firstRow, rowCount, destination.Length);
        if (rowCount == 0 || Columns == 0) return;

        int step = Math.Clamp(BlockLength / Columns, 1, rowCount);
        float[] block = ArrayPool<float>.Shared.Rent(step * Columns);
        for (int row = 0; row < rowCount; row += step)
        {
            int rows = Math.Min(step, rowCount - row);
            var values = block.AsSpan(0, rows * Columns);
            DecodeRows(firstRow + row, rows, values);
            BFloat16Values.Round(values, destination[(row * Columns)..]);
        }

        ArrayPool<float>.Shared.Return(block);
    }

    /// <summary>The type of the numbers where they are stored plainly, each by itself; null for quantized ones.</summary>
    internal virtual TensorType? PlainType => null;

    /// <summary>Copies rows of plain numbers bit by bit, whatever not-a-numbers they have.</summary>
    /// <param name="firstRow">The first row.</param>
    /// <param name="rowCount">How many.</param>
    /// <param name="destination">[rowCount, Columns] of <see cref="PlainType"/>; may be longer.</param>
    /// <exception cref="InvalidOperationException">They are not plain.</exception>
    internal void Copy(int firstRow, int rowCount, Span<byte> destination)
    {
        if (PlainType is not { } type) throw new InvalidOperationException($"{Name} is {Format}, not plain numbers.");
        Check(firstRow, rowCount, destination.Length / PlainNumbers.Size(type));
        if (rowCount > 0 && Columns > 0) CopyRows(firstRow, rowCount, destination[..(rowCount * Columns * PlainNumbers.Size(type))]);
    }

    /// <summary>The bits of all weights where they lie in the file as bfloat16, row after row.</summary>
    internal virtual bool TryGetBits(out ReadOnlySpan<ushort> bits)
    {
        bits = [];
        return false;
    }

    /// <summary>All weights where they lie in the file as float32, row after row.</summary>
    internal virtual bool TryGetValues(out ReadOnlySpan<float> values)
    {
        values = [];
        return false;
    }

    /// <summary>A matrix of every <paramref name="step"/>th row from <paramref name="first"/> on.</summary>
    internal virtual WeightMatrix RowsFrom(int first, int step, int count) => new StridedRows(this, first, step, count);

    /// <summary>The matrix with rows and columns exchanged.</summary>
    internal WeightMatrix Transposed() => new TransposedMatrix(this, 0, 1, Columns);

    /// <summary>One weight by the formula of its format, the slow and obvious way: what the decoders are held against, bit by bit.</summary>
    internal abstract float Value(int row, int column);

    private protected abstract void DecodeRows(int firstRow, int rowCount, Span<float> destination);

    private protected virtual void CopyRows(int firstRow, int rowCount, Span<byte> destination) => throw new InvalidOperationException($"{Name} is {Format}, not plain numbers.");

    private void Check(int firstRow, int rowCount, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rowCount, Rows - firstRow);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)rowCount * Columns, length, nameof(rowCount));
    }
}
