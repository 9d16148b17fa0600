using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using MoeSharp.Checkpoints;

namespace MoeSharp.Cli;

/// <summary>
/// Decoders of quantized weights on one thread, as a loader uses them: rows by rows into a block that is used again. Beside each the same
/// decoded the obvious way, and the least that any decoder must do: read the codes and write the floats.
/// </summary>
internal sealed class DecoderBenchmark(int rows, int columns, int rounds)
{
    private const int BlockRows = 32;

    private readonly float[] _block = new float[BlockRows * columns];
    private long _sink;     // or nothing would be read

    /// <summary>Measures formats, each result as soon as it is known.</summary>
    public IEnumerable<DecoderResult> Run(IEnumerable<DecoderCase> cases, CancellationToken stop)
    {
        foreach (var measured in cases)
        {
            stop.ThrowIfCancellationRequested();
            yield return Measure(measured, stop);
        }
    }

    private DecoderResult Measure(DecoderCase measured, CancellationToken stop)
    {
        var weight = measured.Create(rows, columns, new Random(7));
        var obvious = weight.ObviousLoop ?? ((first, block) => ByFormula(weight.Matrix, first, block));
        var times = PairedTimes.Measure(
            [() => EachBlock(first => weight.Matrix.Decode(first, BlockRows, _block)), () => EachBlock(first => obvious(first, _block)), () => ReadAndWrite(weight.Bytes)], rounds, stop);

        double gigabytes = (double)rows * columns * sizeof(float) / 1e9;
        return new DecoderResult(
            measured.Name, rows, columns, weight.Bytes.Sum(bytes => (long)bytes.Length), gigabytes / (times.Median(0) / 1e6),
            times.MedianRatio(2, 0), times.MedianRatio(1, 0), weight.ObviousLoop is null ? "formula" : "loop");
    }

    private void EachBlock(Action<int> decode)
    {
        for (int first = 0; first < rows; first += BlockRows) decode(first);
    }

    private static void ByFormula(WeightMatrix matrix, int first, float[] block)
    {
        for (int i = 0; i < block.Length; i++) block[i] = matrix.Value(first + i / matrix.Columns, i % matrix.Columns);
    }

    private void ReadAndWrite(IReadOnlyList<byte[]> parts)
    {
        foreach (byte[] part in parts) _sink += Sum(MemoryMarshal.Cast<byte, long>(part));
        EachBlock(_ => _block.AsSpan().Fill(_sink));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sum(ReadOnlySpan<long> values)
    {
        Vector256<long> first = default, second = default;
        ref long start = ref MemoryMarshal.GetReference(values);
        for (int i = 0; i + 8 <= values.Length; i += 8)
        {
            first += Vector256.LoadUnsafe(ref start, (nuint)i);
            second += Vector256.LoadUnsafe(ref start, (nuint)i + 4);
        }

        return Vector256.Sum(first + second);
    }
}

/// <summary>One format.</summary>
/// <param name="Format">The format.</param>
/// <param name="Rows">Outputs of the weight.</param>
/// <param name="Columns">Inputs of the weight.</param>
/// <param name="PackedBytes">The bytes that were decoded.</param>
/// <param name="OutputGbs">Gigabytes of float32 written per second on one thread, the median of the rounds.</param>
/// <param name="ReadWriteShare">The median over rounds of the time to read the codes and write as many floats over the decoder's.</param>
/// <param name="Speedup">The median over rounds of the obvious way's time over the decoder's.</param>
/// <param name="Obvious">The obvious way: a loop over arrays, or the formula of each weight.</param>
internal sealed record DecoderResult(string Format, int Rows, int Columns, long PackedBytes, double OutputGbs, double ReadWriteShare, double Speedup, string Obvious);

/// <summary>The JSON of <c>moesharp bench load --json</c>.</summary>
/// <param name="Version">The version of this form.</param>
/// <param name="Machine">Where it was measured.</param>
/// <param name="Decoders">The formats.</param>
/// <param name="Experts">Loads of bfloat16 experts; empty when formats were asked for.</param>
internal sealed record DecoderBenchmarkReport(int Version, Machine Machine, IReadOnlyList<DecoderResult> Decoders, IReadOnlyList<ExpertLoadResult> Experts);
