using System.CommandLine;
using System.CommandLine.Invocation;
using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace MoeSharp.Cli;

/// <summary>The lines of <c>--version</c>: what a bug report needs to say about the software.</summary>
internal sealed class VersionReport : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        foreach (var line in Lines()) parseResult.InvocationConfiguration.Output.WriteLine(line);
        return ExitCode.Success;
    }

    internal static string ToolVersion => Split(InformationalVersion(typeof(Tool).Assembly)).Version;

    internal static string LibtorchVersion => Version.Parse(torch.__version__).ToString(2);

    internal static IEnumerable<string> Lines()
    {
        var commit = Split(InformationalVersion(typeof(Tool).Assembly)).Commit;

        return
        [
            $"moesharp {ToolVersion}",
            $"commit: {commit ?? "unknown"}",
            $"runtime: {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}",
            $"TorchSharp: {Split(InformationalVersion(typeof(torch).Assembly)).Version}",
            $"expert backend: fused (libtorch {LibtorchVersion})",
        ];
    }

    // 1.2.0+0123abcd: the SDK appends the commit
    private static (string Version, string? Commit) Split(string informational)
    {
        var parts = informational.Split('+', 2);
        return (parts[0], parts.Length > 1 ? parts[1] : null);
    }

    private static string InformationalVersion(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? $"{assembly.GetName().Version}";
}
