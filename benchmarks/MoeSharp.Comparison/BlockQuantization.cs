using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace MoeSharp.Comparison;

/// <summary>Matrices [E, R, C] as unsigned integers with a scale for each block of a row: value ≈ scale · (integer − half of the range).</summary>
internal sealed unsafe class BlockQuantization : ISharedWork, IDisposable
{
    private readonly int _bits, _block, _columns;
    private readonly float*[] _sources;
    private readonly byte* _values;
    private readonly float* _scales;
    private readonly long _rows;
    private long _next = -1;

    /// <summary>Quantizes on all threads.</summary>
    /// <param name="sources">Matrices of one shape, whose rows follow each other in turn.</param>
    /// <param name="bits">4 or 8.</param>
    /// <param name="block">The columns that share a scale, a divisor of all.</param>
    public BlockQuantization(Tensor[] sources, int bits, int block)
    {
        var (experts, rows, columns) = (sources[0].shape[0], sources[0].shape[1] * sources.Length, sources[0].shape[2]);
        (_bits, _block, _columns, _rows) = (bits, block, (int)columns, experts * rows);
        Values = empty([experts, rows, columns * bits / 8], ScalarType.Byte).DetachFromDisposeScope();
        Scales = empty([experts, rows, columns / block], float32).DetachFromDisposeScope();
        _sources = new float*[sources.Length];
        for (int i = 0; i < sources.Length; i++) _sources[i] = (float*)Start(sources[i]);
        _values = Start(Values);
        _scales = (float*)Start(Scales);

        WorkerPool.Shared.Run(this, wakes: true);
    }

    /// <summary>The integers [E, R, C · bits / 8].</summary>
    public Tensor Values { get; }

    /// <summary>The scales [E, R, C / block].</summary>
    public Tensor Scales { get; }

    /// <inheritdoc/>
    public void Execute(int worker)
    {
        for (long row; (row = Interlocked.Increment(ref _next)) < _rows;) QuantizeRow(row);
    }

    public void Dispose()
    {
        Values.Dispose();
        Scales.Dispose();
    }

    private void QuantizeRow(long row)
    {
        var source = new ReadOnlySpan<float>(_sources[row % _sources.Length] + (row / _sources.Length * _columns), _columns);
        var values = new Span<byte>(_values + (row * _columns * _bits / 8), _columns * _bits / 8);
        var scales = new Span<float>(_scales + (row * (_columns / _block)), _columns / _block);
        for (int block = 0; block < scales.Length; block++) scales[block] = QuantizeBlock(source.Slice(block * _block, _block), values.Slice(block * _block * _bits / 8));
    }

    // the largest magnitude becomes the least integer, which has one step more than the greatest
    private float QuantizeBlock(ReadOnlySpan<float> source, Span<byte> values)
    {
        int half = 1 << (_bits - 1);
        float extreme = 0;
        foreach (float value in source) extreme = MathF.Abs(value) > MathF.Abs(extreme) ? value : extreme;
        float scale = extreme / -half, inverse = extreme == 0 ? 0 : 1 / scale;
        for (int i = 0; i < source.Length; i++)
        {
            int integer = Math.Min((int)MathF.Round(source[i] * inverse) + half, (2 * half) - 1);
            if (_bits == 8) values[i] = (byte)integer;
            else if (i % 2 == 0) values[i / 2] = (byte)integer;
            else values[i / 2] |= (byte)(integer << 4);
        }

        return scale;
    }

    private static byte* Start(Tensor values)
    {
        using var first = values.view(-1).narrow(0, 0, 1);
        return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
