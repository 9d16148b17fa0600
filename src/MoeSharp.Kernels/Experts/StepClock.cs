using System.Diagnostics;

namespace MoeSharp;

/// <summary>The time that threads spend in each kind of task, waiting for others included. A benchmark sets one running; else nothing is timed.</summary>
internal sealed class StepClock(int threads)
{
    private const int Kinds = 8;        // of a thread, in a cache line of its own

    private readonly long[] _ticks = new long[(threads + 1) * Kinds];

    /// <summary>The clock of passes that begin now; null for none.</summary>
    public static StepClock? Running { get; set; }

    /// <summary>Adds the time since a timestamp.</summary>
    public void Add(int kind, int worker, long start) => _ticks[worker * Kinds + kind] += Stopwatch.GetTimestamp() - start;

    /// <summary>The part of a kind in the time of all.</summary>
    public double Share(int kind)
    {
        double all = Math.Max(1, _ticks.Sum());
        return _ticks.Where((_, index) => index % Kinds == kind).Sum() / all;
    }
}
