using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace MoeSharp.Cli;

/// <summary>
/// Gives every engine as many threads as the library has, each on a processor of its own: otherwise two threads may share one for seconds.
/// It comes before libtorch is loaded and before the library's threads start, or it pins none of theirs.
/// </summary>
internal static class PinnedThreads
{
    /// <summary>Whether this thread is on a processor of its own; false where the system does not let it.</summary>
    public static bool Start(bool pins)
    {
        var processors = ThreadAffinity.Processors();
        if (pins)
        {
            NativeVariable.SetDefault("OMP_PROC_BIND", "true");        // libtorch's threads
            NativeVariable.SetDefault(WorkerPool.AffinityVariable, "1");
        }

        LoadLibtorch(WorkerPool.Shared.Threads);
        return pins && processors.Count > 0 && ThreadAffinity.TryPin(processors[0]);
    }

    // apart, so that nothing of libtorch is loaded any sooner
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LoadLibtorch(int threads) => set_num_threads(threads);
}
