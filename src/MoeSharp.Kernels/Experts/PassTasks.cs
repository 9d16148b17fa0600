using System.Diagnostics;

namespace MoeSharp;

/// <summary>A part of a pass that one thread does: panels, rows or tokens First..End of an expert.</summary>
/// <param name="Kind">Which step; the pass says what its numbers mean.</param>
/// <param name="Expert">The expert.</param>
/// <param name="First">The first panel, row or token.</param>
/// <param name="End">The one after the last.</param>
internal readonly record struct PassTask(int Kind, int Expert, int First, int End);

/// <summary>What the tasks of a pass do.</summary>
internal interface IPassSteps
{
    /// <summary>Does a task, on thread <paramref name="worker"/> of the pool.</summary>
    void Do(in PassTask task, int worker);
}

/// <summary>
/// The tasks of a pass in one list, taken in order. A task may wait for others that stand before it: those were taken before, so that no
/// two can wait for each other. There are no barriers.
/// </summary>
internal sealed class PassTasks : ISharedWork
{
    private const int CountersPerLine = 16;     // counters that threads wait on do not share cache lines

    private PassTask[] _tasks = new PassTask[64];
    private int[] _done = [], _needed = [];
    private int _count, _next;
    private IPassSteps? _steps;
    private volatile bool _isAbandoned;

    /// <summary>Starts a list with <paramref name="counters"/> counters of tasks done.</summary>
    public void Clear(int counters)
    {
        (_count, _next, _isAbandoned) = (0, 0, false);
        if (_needed.Length < counters) (_needed, _done) = (new int[counters], new int[counters * CountersPerLine]);
        Array.Clear(_needed, 0, counters);
        Array.Clear(_done, 0, counters * CountersPerLine);
    }

    /// <summary>Adds tasks that cover 0..<paramref name="total"/> in parts of <paramref name="part"/>, counted by <paramref name="counter"/>.</summary>
    public void Add(int kind, int expert, int total, int part, int counter)
    {
        for (int first = 0; first < total; first += part) Add(new PassTask(kind, expert, first, Math.Min(total, first + part)), counter);
    }

    /// <summary>The same in parts that become smaller, for the last products of a pass: threads end together.</summary>
    public void AddTapering(int kind, int expert, int total, int part, int least, int threads, int counter)
    {
        for (int first = 0, length; first < total; first += length)
        {
            length = Math.Min(Math.Clamp((total - first) / (2 * threads) / least * least, least, Math.Max(least, part)), total - first);
            Add(new PassTask(kind, expert, first, first + length), counter);
        }
    }

    /// <summary>Does all tasks.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="steps">What the tasks do.</param>
    /// <param name="wakes">Whether sleeping threads are woken.</param>
    /// <exception cref="Exception">The first error of a task, after all threads have left; what else was to do is abandoned.</exception>
    public void Run(WorkerPool pool, IPassSteps steps, bool wakes)
    {
        _steps = steps;
        pool.Run(this, wakes);
        _steps = null;      // the list is kept for other passes, which are not to keep the weights of this one
    }

    /// <summary>Counts a task as done.</summary>
    public void Done(int counter) => Interlocked.Increment(ref _done[counter * CountersPerLine]);

    /// <summary>Waits until all tasks of a counter are done. False when they never will be, since a task failed: leave then.</summary>
    public bool WaitFor(int counter)
    {
        ref int done = ref _done[counter * CountersPerLine];
        var pause = new SpinPause();
        while (Volatile.Read(ref done) < _needed[counter])
        {
            if (_isAbandoned) return false;
            pause.Once();
        }

        return true;
    }

    void ISharedWork.Execute(int worker)
    {
        try
        {
            var clock = StepClock.Running;
            while (!_isAbandoned && TryTake(out var task))
            {
                long start = clock is null ? 0 : Stopwatch.GetTimestamp();
                _steps!.Do(task, worker);       // Run set them
                clock?.Add(task.Kind, worker, start);
            }
        }
        catch
        {
            _isAbandoned = true;
            throw;
        }
    }

    private void Add(in PassTask task, int counter)
    {
        if (_count == _tasks.Length) Array.Resize(ref _tasks, 2 * _count);
        _tasks[_count++] = task;
        _needed[counter]++;
    }

    private bool TryTake(out PassTask task)
    {
        int index = Interlocked.Increment(ref _next) - 1;
        bool isTask = index < _count;
        task = isTask ? _tasks[index] : default;
        return isTask;
    }
}
