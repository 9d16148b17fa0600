using System.Runtime.InteropServices;
using MoeSharp.TestKit;

namespace MoeSharp.Package.Tests;

/// <summary>The tool as a user installs it. Explicit, since it packs, copies and unpacks libtorch: 700 MB and a minute.</summary>
public class ToolTests(LocalFeed feed)
{
    [Fact(Explicit = true)]
    public void Tool_InstalledFromItsPackage_ComputesAModel()
    {
        using var tools = new TemporaryFolder();

        feed.Pack("MoeSharp.Cli", $"-p:RuntimeIdentifiers={RuntimeInformation.RuntimeIdentifier}");
        feed.Dotnet("tool", "install", "MoeSharp.Cli", "--version", LocalFeed.Version, "--tool-path", tools.Path);
        var printed = DotnetCommand.Execute(tools.File("moesharp"), tools.Path, new Dictionary<string, string>(), "verify", Fixtures.Path("qwen3_moe"));

        Assert.Contains("1 hold", printed, StringComparison.Ordinal);
    }
}
