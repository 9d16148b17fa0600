using System.Reflection;
using MoeSharp.Package.Tests;
using MoeSharp.TestKit;

[assembly: AssemblyFixture(typeof(LocalFeed))]

namespace MoeSharp.Package.Tests;

/// <summary>
/// The library packages, packed into a folder outside the repository. Projects under that folder restore ours from it, and everything else
/// from the machine's cache: ours go into a cache of their own, so that no run sees the packages of another.
/// </summary>
public sealed class LocalFeed : IDisposable
{
    public const string Version = "0.0.0-test";

    private readonly TemporaryFolder _folder = new();

    public LocalFeed()
    {
        File.WriteAllText(_folder.File("nuget.config"), $"""
            <configuration>
              <packageSources>
                <add key="moesharp" value="{Feed}" />
              </packageSources>
              <fallbackPackageFolders>
                <add key="cache" value="{Metadata("NuGetPackageRoot")}" />
              </fallbackPackageFolders>
            </configuration>
            """);
        File.WriteAllText(_folder.File("Directory.Build.props"), $"""
            <Project>
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <CreateSymbolicLinksForCopyLocalIfPossible>true</CreateSymbolicLinksForCopyLocalIfPossible>
                <MoeSharpVersion>{Version}</MoeSharpVersion>
                <TorchSharpVersion>{Metadata("TorchSharpVersion")}</TorchSharpVersion>
              </PropertyGroup>
            </Project>
            """);
        Copy(Path.Combine(AppContext.BaseDirectory, "consumers"), _folder.File("consumers"));
        foreach (var id in Packages) Pack(id, "--no-build");
    }

    /// <summary>The ids of the libraries, each after those it depends on.</summary>
    public static IReadOnlyList<string> Packages { get; } = ["MoeSharp.Kernels", "MoeSharp.Checkpoints", "MoeSharp", "MoeSharp.Training"];

    /// <summary>The folder of the packages.</summary>
    public string Feed => _folder.File("feed");

    /// <summary>TorchSharp's native library for Linux, as its package has it.</summary>
    public string TorchSharpNative { get; } =
        Path.Combine(Metadata("NuGetPackageRoot"), "torchsharp", Metadata("TorchSharpVersion"), "runtimes", "linux-x64", "native", "libLibTorchSharp.so");

    /// <summary>Packs a project of src/ into the feed.</summary>
    public void Pack(string project, params string[] options) => DotnetCommand.Run(
        Fixtures.RepositoryRoot,
        NoServers,
        ["pack", $"src/{project}", "-c", Metadata("Configuration"), "-o", Feed, "-p:MinVerSkip=true", $"-p:PackageVersion={Version}", .. options]);

    /// <summary>Builds a consumer, runs it, and returns what it printed.</summary>
    public string BuildAndRun(string consumer) => Dotnet("run", "--project", $"consumers/{consumer}");

    /// <summary>Makes the copy of one file that a build of a consumer would make.</summary>
    public void RunLoadingFix(string source, string destination) => Dotnet(
        "build",
        "consumers/Relax/Relax.proj",
        $"-p:Targets={Path.Combine(Fixtures.RepositoryRoot, "build", "TorchSharpNative.targets")}",
        $"-p:Source={source}",
        $"-p:Destination={destination}");

    /// <summary>Runs dotnet beside the feed.</summary>
    public string Dotnet(params string[] arguments) =>
        DotnetCommand.Run(_folder.Path, new Dictionary<string, string>(NoServers) { ["NUGET_PACKAGES"] = _folder.File("packages") }, arguments);

    public void Dispose() => _folder.Dispose();

    // build servers would outlive the test and hold its folder
    private static Dictionary<string, string> NoServers { get; } = new() { ["MSBUILDDISABLENODEREUSE"] = "1", ["UseSharedCompilation"] = "false" };

    private static void Copy(string source, string destination)
    {
        foreach (var file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(destination, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);   // a file in a folder has one
            File.Copy(file, target, overwrite: true);
        }
    }

    private static string Metadata(string key) => typeof(LocalFeed).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(pair => pair.Key == key).Value
        ?? throw new InvalidOperationException($"The project file gives no value to the assembly metadata {key}.");
}
