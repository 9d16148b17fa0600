using System.Diagnostics;

namespace MoeSharp.Cli;

/// <summary>
/// Times of several engines, taken in turn within each round: whatever slows the machine down slows all of them, so the ratios of a
/// round mean something where the times do not.
/// </summary>
internal sealed class PairedTimes
{
    /// <summary>Lets the threads of the engine before go to sleep.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(15);

    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(6);
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(600);    // compiled anew in the background, once it was called often

    private readonly double[][] _microseconds;      // [engines][rounds]

    private PairedTimes(double[][] microseconds)
    {
        _microseconds = microseconds;
    }

    /// <summary>Runs each engine for a slice of every round, warmed up, in rotating order.</summary>
    public static PairedTimes Measure(IReadOnlyList<Action> engines, int rounds, CancellationToken stop)
    {
        double[][] times = [.. engines.Select(_ => new double[rounds])];
        foreach (var engine in engines) MedianOfSlice(engine, WarmUp);
        for (int round = 0; round < rounds; round++)
        {
            stop.ThrowIfCancellationRequested();
            for (int i = 0; i < engines.Count; i++)
            {
                int engine = (i + round) % engines.Count;
                Thread.Sleep(Pause);
                times[engine][round] = MedianOfSlice(engines[engine], Slice);
            }
        }

        return new PairedTimes(times);
    }

    /// <summary>The median time of an engine, in microseconds.</summary>
    public double Median(int engine) => MedianOf(_microseconds[engine]);

    /// <summary>The median over rounds of one engine's time over another's.</summary>
    public double MedianRatio(int engine, int other) => MedianOf([.. _microseconds[engine].Zip(_microseconds[other], (a, b) => a / b)]);

    /// <summary>One engine's best time over another's.</summary>
    public double RatioOfBests(int engine, int other) => _microseconds[engine].Min() / _microseconds[other].Min();

    /// <summary>The median of values in any order.</summary>
    public static double MedianOf(double[] values)
    {
        Array.Sort(values = [.. values]);
        return values.Length % 2 == 1 ? values[values.Length / 2] : (values[values.Length / 2 - 1] + values[values.Length / 2]) / 2;
    }

    private static double MedianOfSlice(Action engine, TimeSpan slice)
    {
        engine();
        var times = new List<double>();
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < slice || times.Count < 3)
        {
            long before = Stopwatch.GetTimestamp();
            engine();
            times.Add(Stopwatch.GetElapsedTime(before).TotalMicroseconds);
        }

        return MedianOf([.. times]);
    }
}
