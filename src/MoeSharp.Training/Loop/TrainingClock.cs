using System.Diagnostics;

namespace MoeSharp.Training;

/// <summary>Wall and processor time of a run, over interruptions.</summary>
internal sealed class TrainingClock(int threads, double secondsBefore, double processorSecondsBefore)
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly double _processorAtStart = ProcessorTime();

    /// <summary>Wall seconds of training.</summary>
    public double Seconds => secondsBefore + Stopwatch.GetElapsedTime(_started).TotalSeconds;

    /// <summary>Processor seconds of training, over all threads.</summary>
    public double ProcessorSeconds => processorSecondsBefore + ProcessorTime() - _processorAtStart;

    /// <summary>How busy the threads were, 0 to 1.</summary>
    public double ProcessorShare => ProcessorSeconds / Seconds / threads;

    /// <summary>The largest resident memory that the process has had.</summary>
    public static long PeakMemoryBytes
    {
        get
        {
            using var process = Process.GetCurrentProcess();
            return process.PeakWorkingSet64;
        }
    }

    private static double ProcessorTime()
    {
        using var process = Process.GetCurrentProcess();
        return process.TotalProcessorTime.TotalSeconds;
    }
}
