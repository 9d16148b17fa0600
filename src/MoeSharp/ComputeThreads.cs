using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The threads that compute: libtorch's, and the library's own.</summary>
internal static class ComputeThreads
{
    /// <summary>Sets how many there are of each; of the library's own only before their first use, and where MOESHARP_THREADS does not say.</summary>
    public static void Use(int threads)
    {
        set_num_threads(threads);
        WorkerPool.Prefer(threads);
    }

    /// <summary>Reads what the environment says of threads and kernels, before work is begun that could not go on.</summary>
    /// <exception cref="MoeException">A variable has no such value.</exception>
    public static void CheckEnvironment()
    {
        _ = WorkerPool.Shared;
        _ = KernelCatalog.Choices;
    }
}
