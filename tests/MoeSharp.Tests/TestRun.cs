using System.Runtime.CompilerServices;

namespace MoeSharp.Tests;

/// <summary>What has to happen before the first test touches a tensor.</summary>
internal static class TestRun
{
    [ModuleInitializer]
    public static void Start() => Reproducibility.Enable();
}
