using System.IO.Compression;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;
using MoeSharp.TestKit;

namespace MoeSharp.Package.Tests;

/// <summary>What each package holds and says about itself.</summary>
public sealed class PackageContentTests(LocalFeed feed)
{
    public static TheoryData<string> Packages { get; } = [.. LocalFeed.Packages];

    [Theory, MemberData(nameof(Packages))]
    public void Package_OfALibrary_HoldsAssemblyDocumentationReadmeAndIcon(string id)
    {
        using var package = Open(id);

        Assert.Superset(new HashSet<string> { $"lib/net10.0/{id}.dll", $"lib/net10.0/{id}.xml", "README.md", "Icon.png" }, Names(package));
    }

    [Theory, MemberData(nameof(Packages))]
    public void Package_OfALibrary_NamesLicenceReadmeIconAndCommit(string id)
    {
        using var package = Open(id);

        var metadata = Metadata(package);

        Assert.Equal("Apache-2.0", Value(metadata, "license"));
        Assert.Equal("README.md", Value(metadata, "readme"));
        Assert.Equal("Icon.png", Value(metadata, "icon"));
        Assert.NotEmpty(Value(metadata, "description"));
        if (Path.Exists(Path.Combine(Fixtures.RepositoryRoot, ".git")))
        {
            Assert.Matches("^[0-9a-f]{40}$", Element(metadata, "repository").Attribute("commit")?.Value);
        }
    }

    [Theory, MemberData(nameof(Packages))]
    public void Assembly_OfALibrary_IsReproducibleAndHoldsItsSymbols(string id)
    {
        using var package = Open(id);
        using var assembly = new PEReader(new MemoryStream(Read(package, $"lib/net10.0/{id}.dll")));

        var entries = assembly.ReadDebugDirectory().Select(entry => entry.Type).ToHashSet();

        Assert.Superset(new HashSet<DebugDirectoryEntryType> { DebugDirectoryEntryType.Reproducible, DebugDirectoryEntryType.EmbeddedPortablePdb }, entries);
    }

    [Fact]
    public void Package_MoeSharp_PassesTheLoadingFixOn()
    {
        using var package = Open("MoeSharp");

        Assert.Superset(new HashSet<string> { "buildTransitive/MoeSharp.targets", "buildTransitive/RelaxTorchSharpNative.cs" }, Names(package));
    }

    [Theory]
    [InlineData("MoeSharp.Kernels", "Iced")]
    [InlineData("MoeSharp.Checkpoints", "Iced", "MoeSharp.Kernels")]
    [InlineData("MoeSharp", "Iced", "MoeSharp.Checkpoints", "MoeSharp.Kernels", "TorchSharp")]
    [InlineData("MoeSharp.Training", "Iced", "Microsoft.ML.Tokenizers", "MoeSharp", "TorchSharp")]
    public void Package_OfALibrary_DependsOnNoOtherPartOrRuntime(string id, params string[] dependencies)
    {
        using var package = Open(id);

        var named = Metadata(package).Descendants().Where(element => element.Name.LocalName == "dependency").Select(element => element.Attribute("id")!.Value);

        Assert.Equal(dependencies, named.Where(name => !name.StartsWith("Microsoft.Extensions.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    private ZipArchive Open(string id) => ZipFile.OpenRead(Path.Combine(feed.Feed, $"{id}.{LocalFeed.Version}.nupkg"));

    private static HashSet<string> Names(ZipArchive package) => [.. package.Entries.Select(entry => entry.FullName)];

    private static XElement Metadata(ZipArchive package)
    {
        using var nuspec = package.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return Element(XDocument.Load(nuspec).Root!, "metadata");   // a document that loads has a root
    }

    private static XElement Element(XElement parent, string name) => parent.Elements().Single(element => element.Name.LocalName == name);

    private static string Value(XElement parent, string name) => Element(parent, name).Value;

    private static byte[] Read(ZipArchive package, string name)
    {
        using var content = new MemoryStream();
        using var entry = package.GetEntry(name)!.Open();   // the test above says that it is there
        entry.CopyTo(content);
        return content.ToArray();
    }
}
