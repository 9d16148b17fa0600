using System.Reflection;
using System.Runtime.InteropServices;

namespace MoeSharp.Cli.Tests;

public sealed class VersionTests
{
    [Fact]
    public void Version_NamesEverythingThatComputes()
    {
        var tool = CapturedTool.Run("--version");

        var informational = typeof(Tool).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+');
        var lines = tool.Output.TrimEnd('\n').Split('\n');
        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.Equal(
            [$"moesharp {informational[0]}", $"commit: {(informational.Length > 1 ? informational[1] : "unknown")}", $"runtime: {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}"],
            lines[..3]);
        Assert.Matches(@"^TorchSharp: \d+\.\d+\.\d+", lines[3]);
        Assert.Matches(@"^expert backend: \w+ \(libtorch \d+\.\d+\)$", lines[4]);
        Assert.Equal(5, lines.Length);
    }
}
