using System.Reflection;
using System.Runtime.InteropServices;

namespace MoeSharp.Training;

/// <summary>What runs here: for <c>run.json</c> and bug reports.</summary>
public static class ComponentVersions
{
    /// <summary>Component names and versions.</summary>
    public static IReadOnlyDictionary<string, string> All { get; } = new Dictionary<string, string>
    {
        ["moesharp"] = VersionOf(typeof(ComponentVersions).Assembly),
        ["torchsharp"] = VersionOf(typeof(TorchSharp.torch).Assembly),
        ["runtime"] = RuntimeInformation.FrameworkDescription,
        ["os"] = RuntimeInformation.OSDescription,
        ["architecture"] = RuntimeInformation.ProcessArchitecture.ToString(),
    };

    private static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? assembly.GetName().Version?.ToString() ?? "unknown";
}
