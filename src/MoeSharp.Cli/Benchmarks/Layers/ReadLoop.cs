using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Cli;

/// <summary>The most bytes per second that come from memory: a block far larger than the caches, read from end to end by all threads.</summary>
internal sealed unsafe class ReadLoop : IDisposable
{
    private const long Length = 256L << 20;
    private const int PartLength = 1 << 20, Parts = (int)(Length / PartLength);

    private readonly AlignedMemory _memory = new(Length, "the block that is read to measure memory");
    private long _sink;     // or nothing would be read

    public ReadLoop() => _memory.Clear();       // untouched pages would all be the same page of zeros

    /// <summary>Bytes per second, now.</summary>
    public double Measure(WorkerPool pool)
    {
        long start = Stopwatch.GetTimestamp();
        pool.ForEach(Parts, part => Volatile.Write(ref _sink, Sum((long*)(_memory.Start + ((long)part * PartLength)))));
        return Length / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sum(long* values)
    {
        Vector256<long> s0 = default, s1 = default, s2 = default, s3 = default;
        for (long* end = values + (PartLength / sizeof(long)); values < end; values += 16)
        {
            s0 += Vector256.Load(values);
            s1 += Vector256.Load(values + 4);
            s2 += Vector256.Load(values + 8);
            s3 += Vector256.Load(values + 12);
        }

        return Vector256.Sum(s0 + s1 + s2 + s3);
    }
}
