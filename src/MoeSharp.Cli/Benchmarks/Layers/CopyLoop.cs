using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Cli;

/// <summary>The most bytes per second that move through memory where as many are written as read: a block far larger than the caches, copied past them by all threads.</summary>
internal sealed unsafe class CopyLoop : IDisposable
{
    private const long Length = 128L << 20;
    private const int PartLength = 1 << 20, Parts = (int)(Length / PartLength), Line = 64;

    private readonly AlignedMemory _from = new(Length, "the block that is copied to measure memory"), _to = new(Length, "the copy that measures memory");

    public CopyLoop()
    {
        _from.Clear();
        _to.Clear();
    }

    /// <summary>Bytes read and bytes written per second, together, now.</summary>
    public double Measure(WorkerPool pool)
    {
        long start = Stopwatch.GetTimestamp();
        pool.ForEach(Parts, CopyPart);
        return 2 * Length / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _from.Dispose();
        _to.Dispose();
    }

    private void CopyPart(int part)
    {
        Copy(_from.Start + ((long)part * PartLength), _to.Start + ((long)part * PartLength));
        Thread.MemoryBarrier();     // such writes are ordered by nothing else
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Copy(byte* from, byte* to)
    {
        for (byte* end = from + PartLength; from < end; from += Line, to += Line)
        {
            if (Vector512.IsHardwareAccelerated)
            {
                Vector512.LoadAligned(from).StoreAlignedNonTemporal(to);
            }
            else
            {
                Vector256.LoadAligned(from).StoreAlignedNonTemporal(to);
                Vector256.LoadAligned(from + Line / 2).StoreAlignedNonTemporal(to + Line / 2);
            }
        }
    }
}
