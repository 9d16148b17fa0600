using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace MoeSharp.Training.Tests;

internal static class NativeSettings
{
    /// <summary>libtorch reads these when it is loaded, so they are made before the first test.</summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "the test host has no entry point of ours")]
    internal static void Apply()
    {
        ThreadWaiting.SpinBriefly();
        Reproducibility.Enable();
    }
}
