using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>
/// Gives every engine as many threads as the library has, each on a processor of its own: otherwise two threads may share one for seconds.
/// It comes before libtorch is loaded and before the library's threads start, or it pins none of theirs.
/// </summary>
internal static class PinnedThreads
{
    /// <summary>Where threads stay, the caller's first; none when they may move.</summary>
    public static IReadOnlyList<int> Processors { get; private set; } = [];

    /// <summary>Pins, if asked to. Whether this thread is on a processor of its own; false where the system does not let it.</summary>
    public static bool Start(bool pins)
    {
        if (pins)
        {
            Processors = ThreadAffinity.Processors();
            NativeVariable.SetDefault("OMP_PROC_BIND", "true");        // libtorch's threads
            NativeVariable.SetDefault(WorkerPool.AffinityVariable, "1");
        }

        LoadLibtorch(WorkerPool.Shared.Threads);
        return Processors.Count > 0 && ThreadAffinity.TryPin(Processors[0]);
    }

    // apart, so that nothing of libtorch is loaded any sooner
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LoadLibtorch(int threads) => set_num_threads(threads);
}
