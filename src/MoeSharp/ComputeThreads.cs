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
}
