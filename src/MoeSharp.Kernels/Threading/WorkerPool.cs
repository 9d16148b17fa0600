using System.Diagnostics;
using System.Globalization;
using System.Runtime.ExceptionServices;

namespace MoeSharp;

/// <summary>What several threads do together: each calls <see cref="Execute"/> once and takes tasks until none are left.</summary>
internal interface ISharedWork
{
    /// <summary>Takes tasks until none are left.</summary>
    /// <param name="worker">Which thread this is: 0 for the caller, up to the pool's threads less one.</param>
    void Execute(int worker);
}

/// <summary>
/// Threads for kernels, ready within a microsecond while there is work: after the last one they spin for a moment, then sleep.
/// </summary>
/// <remarks>
/// The caller takes tasks itself and never waits for a thread that has not begun: when it finds no task left it closes the gate, and only
/// waits for those inside. A machine that is busy with other things then costs the time of the other threads, not a time slice. One call
/// has the pool at a time; what is called meanwhile, or from within, runs on its own thread.
/// </remarks>
internal sealed class WorkerPool : IDisposable
{
    /// <summary>The environment variable that sets the threads of <see cref="Shared"/>.</summary>
    public const string Variable = "MOESHARP_THREADS";

    /// <summary>The variable that, set to 1, keeps every thread of the shared pool but the caller's on a processor of its own.</summary>
    public const string AffinityVariable = "MOESHARP_AFFINITY";

    /// <summary>More would take the machine down, not make it faster.</summary>
    public const int MostThreads = 1024;

    private const int Closed = int.MinValue / 2;
    private const long SpinMicroseconds = 60;
    private static readonly Lazy<WorkerPool> Instance = new(() => new WorkerPool(ThreadsFrom(Environment.GetEnvironmentVariable(Variable), _preferred), ProcessorsFrom(Environment.GetEnvironmentVariable(AffinityVariable))));

    private static int? _preferred;     // read once, when the pool is first used

    private readonly Lock _caller = new();
    private readonly SemaphoreSlim _wake = new(0);
    private ISharedWork? _work;
    private ExceptionDispatchInfo? _error;
    private volatile bool _isEnding;
    private int _generation, _parked, _gate = Closed;      // the gate holds the number of threads inside, and is far below zero while closed

    /// <summary>Starts a pool of <paramref name="threads"/> threads, the caller's counted.</summary>
    /// <param name="threads">How many.</param>
    /// <param name="processors">Where they stay: worker i on processors[i], and again from the first one where there are more threads; null to let the system move them.</param>
    public WorkerPool(int threads, IReadOnlyList<int>? processors = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = threads;
        for (int worker = 1; worker < threads; worker++)
        {
            int number = worker;
            new Thread(() => ServeOn(processors is { Count: > 0 } ? processors[number % processors.Count] : null, number)) { IsBackground = true, Name = $"MoeSharp worker {number}" }.Start();
        }
    }

    /// <summary>The pool of the process: as many threads as MOESHARP_THREADS says, or <see cref="Prefer"/>, or as there are processors.</summary>
    /// <exception cref="MoeException">MOESHARP_THREADS is no number of threads, or MOESHARP_AFFINITY neither 0 nor 1.</exception>
    public static WorkerPool Shared => Instance.Value;

    /// <summary>Says how many threads <see cref="Shared"/> is to have where MOESHARP_THREADS does not; without effect once it is there.</summary>
    public static void Prefer(int threads) => _preferred = threads;

    /// <summary>The number of threads that MOESHARP_THREADS means: what is preferred, or one per processor, where it is not set.</summary>
    /// <exception cref="MoeException">It is no number of threads.</exception>
    public static int ThreadsFrom(string? text, int? preferred = null)
    {
        if (string.IsNullOrEmpty(text)) return preferred ?? Environment.ProcessorCount;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int threads) && threads is >= 1 and <= MostThreads) return threads;

        throw new MoeException($"{Variable} is '{text}'; set it to a number of threads from 1 to {MostThreads}, or unset it for one per processor.");
    }

    /// <summary>The threads that work, the caller's counted.</summary>
    public int Threads { get; }

    /// <summary>Runs the work to its end.</summary>
    /// <param name="work">What to do.</param>
    /// <param name="wakes">Whether sleeping threads are woken: worth it from about 0.2 ms of work on.</param>
    /// <exception cref="Exception">The first error of any thread, after all have left.</exception>
    public void Run(ISharedWork work, bool wakes)
    {
        if (Threads == 1 || _caller.IsHeldByCurrentThread || !_caller.TryEnter())
        {
            work.Execute(0);
            return;
        }

        try
        {
            RunTogether(work, wakes);
        }
        finally
        {
            _caller.Exit();
        }
    }

    /// <summary>Runs <paramref name="body"/> for 0 up to <paramref name="count"/>, each once and in no certain order. For one, nobody is woken.</summary>
    /// <exception cref="Exception">The first error of any thread, after all have left.</exception>
    public void ForEach(int count, Action<int> body) => Run(new IndexedWork(count, Threads, body), wakes: count > 1);

    /// <summary>Ends the threads once they have nothing to do; later calls run on the caller alone.</summary>
    public void Dispose()
    {
        _isEnding = true;
        Interlocked.Increment(ref _generation);
        _wake.Release(Threads);
    }

    /// <summary>Each thread takes its own share first, the same one in every call, whose memory is in its caches then; and helps others after that.</summary>
    private sealed class IndexedWork(int count, int threads, Action<int> body) : ISharedWork
    {
        private const int Apart = 16;       // a cache line

        private readonly int[] _taken = new int[threads * Apart];

        void ISharedWork.Execute(int worker)
        {
            for (int turn = 0; turn < threads; turn++) Take((worker + turn) % threads);
        }

        private void Take(int share)
        {
            int first = (int)((long)share * count / threads), end = (int)((share + 1L) * count / threads), index;
            while ((index = first + Interlocked.Increment(ref _taken[share * Apart]) - 1) < end) body(index);
        }
    }

    private void RunTogether(ISharedWork work, bool wakes)
    {
        (_work, _error) = (work, null);
        Interlocked.Add(ref _gate, -Closed);
        Interlocked.Increment(ref _generation);
        if (wakes && Volatile.Read(ref _parked) is > 0 and var parked) _wake.Release(parked);

        Do(work, 0);

        Interlocked.Add(ref _gate, Closed);
        var wait = new SpinPause();
        while (Volatile.Read(ref _gate) != Closed) wait.Once();
        _work = null;
        _error?.Throw();
    }

    private void ServeOn(int? processor, int worker)
    {
        if (processor is { } own) _ = ThreadAffinity.TryPin(own);       // else the system moves it, as it moves all
        Serve(worker);
    }

    private void Serve(int worker)
    {
        int seen = 0;
        while (!_isEnding)
        {
            seen = NextGeneration(seen);
            if (Interlocked.Increment(ref _gate) > 0) Do(_work!, worker);      // open: the work was set before
            Interlocked.Decrement(ref _gate);
        }
    }

    private void Do(ISharedWork work, int worker)
    {
        try
        {
            work.Execute(worker);
        }
#pragma warning disable CA1031 // it is thrown again to the caller
        catch (Exception error)
#pragma warning restore CA1031
        {
            Interlocked.CompareExchange(ref _error, ExceptionDispatchInfo.Capture(error), null);
        }
    }

    /// <summary>Waits for work that this thread has not seen: spinning first, then asleep.</summary>
    private int NextGeneration(int seen)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            for (int spin = 0; spin < 64; spin++)
            {
                if (Volatile.Read(ref _generation) is var current && current != seen) return current;
                Thread.SpinWait(1);
            }

            if (Stopwatch.GetElapsedTime(start).TotalMicroseconds > SpinMicroseconds)
            {
                Park(seen);
                start = Stopwatch.GetTimestamp();
            }
        }
    }

    private void Park(int seen)
    {
        Interlocked.Increment(ref _parked);
        if (Volatile.Read(ref _generation) == seen) _wake.Wait();      // a call that came between has released it, or did not want to wake
        Interlocked.Decrement(ref _parked);
    }

    private static IReadOnlyList<int>? ProcessorsFrom(string? text) => text switch
    {
        null or "" or "0" => null,
        "1" => ThreadAffinity.Processors(),
        _ => throw new MoeException($"{AffinityVariable} is '{text}'; set it to 1 to keep each thread on a processor, or to 0, or unset it."),
    };
}

/// <summary>Waiting for another thread that is about to be done: in place at first, then giving the processor away.</summary>
internal struct SpinPause
{
    private const int SpinsBeforeYield = 2_000;     // about 50 µs

    private int _spins;

    /// <summary>Waits for a moment.</summary>
    public void Once()
    {
        if (_spins++ < SpinsBeforeYield) Thread.SpinWait(1);
        else Thread.Yield();
    }
}
