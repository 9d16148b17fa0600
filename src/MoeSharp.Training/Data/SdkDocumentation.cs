using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace MoeSharp.Training;

/// <summary>Finds and reads the XML documentation that comes with a .NET SDK.</summary>
internal static class SdkDocumentation
{
    private sealed record Member(string Type, string Name, string Body);

    /// <summary>Where a .NET SDK may be, the one that runs first.</summary>
    public static IEnumerable<string> Roots()
    {
        // <root>/shared/Microsoft.NETCore.App/10.0.0/
        var runtime = RuntimeEnvironment.GetRuntimeDirectory();
        var running = Path.GetFullPath(Path.Combine(runtime, "..", "..", ".."));
        var hosts = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => new FileInfo(Path.Combine(folder, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet")))
            .Where(host => host.Exists)
            .Select(host => host.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? host.FullName)
            .Select(host => Path.GetDirectoryName(host));

        string?[] first = [running, Environment.GetEnvironmentVariable("DOTNET_ROOT")];
        return first.Concat(hosts).OfType<string>().Where(root => root.Length > 0).Distinct();
    }

    /// <summary>The documentation files of the first SDK that has some: of each reference pack the newest version, its newest framework.</summary>
    /// <exception cref="MoeException">There are none.</exception>
    public static IReadOnlyList<string> FindFiles(IEnumerable<string> roots)
    {
        var searched = roots.ToList();
        var files = searched.Select(FilesOf).FirstOrDefault(found => found.Count > 0);

        return files ?? throw new MoeException(
            $"No .NET documentation was found: looked for packs/*.Ref/*/ref/net*/*.xml in {string.Join(", ", searched)}. "
            + "Install the .NET SDK, or name other text with --data.");
    }

    /// <summary>The documents, a type each.</summary>
    public static IReadOnlyList<TextDocument> Read(IReadOnlyList<string> files, CancellationToken cancellation)
    {
        // packs repeat each other's files: of equal ones the first is read
        var hashes = OrderedParallel.Select(files, file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))), cancellation);
        var distinct = files.Zip(hashes).DistinctBy(file => file.Second).Select(file => file.First).ToList();

        return Group(OrderedParallel.Select(distinct, ReadFile, cancellation).SelectMany(members => members));
    }

    private static List<string> FilesOf(string root)
    {
        var packs = new DirectoryInfo(Path.Combine(root, "packs"));
        if (!packs.Exists) return [];

        return
        [
            .. packs.EnumerateDirectories("*.Ref").OrderBy(pack => pack.Name, StringComparer.Ordinal)
                .Select(pack => pack.EnumerateDirectories().MaxBy(version => VersionOf(version.Name)))
                .Select(version => version?.EnumerateDirectories("ref").FirstOrDefault())
                .Select(reference => reference?.EnumerateDirectories("net*").MaxBy(framework => VersionOf(framework.Name[3..])))
                .SelectMany(framework => framework?.EnumerateFiles("*.xml") ?? [])
                .OrderBy(file => file.FullName, StringComparer.Ordinal)
                .Select(file => file.FullName),
        ];
    }

    private static Version VersionOf(string name) => Version.TryParse(name.Split('-')[0], out var version) ? version : new(0, 0);

    private static List<Member> ReadFile(string file)
    {
        try
        {
            return [.. Members(file)];
        }
        catch (XmlException error)
        {
            throw new MoeException($"{file} is damaged: {error.Message} Repair the .NET SDK, or name other text with --data.", error);
        }
    }

    private static IEnumerable<Member> Members(string file)
    {
        using var reader = XmlReader.Create(file, new() { DtdProcessing = DtdProcessing.Prohibit });
        var typeParameters = new Dictionary<string, string[]>();
        reader.MoveToContent();

        while (!reader.EOF)
        {
            if (reader.NodeType != XmlNodeType.Element || reader.Name != "member")
            {
                reader.Read();
                continue;
            }

            var element = (XElement)XNode.ReadFrom(reader);
            var id = element.Attribute("name")?.Value;
            if (id is not [_, ':', ..]) continue;

            var own = element.Elements("typeparam").Select(parameter => parameter.Attribute("name")?.Value ?? "T").ToArray();
            var type = DocumentationName.TypeOf(id);
            if (id[0] == 'T') typeParameters[type] = own;

            var body = DocumentationProse.Body(element);
            if (body.Length == 0) continue;

            yield return new(type, DocumentationName.Readable(id, typeParameters.GetValueOrDefault(type, []), id[0] == 'M' ? own : []), body);
        }
    }

    private static List<TextDocument> Group(IEnumerable<Member> members)
    {
        var seen = new HashSet<string>();
        var texts = new OrderedDictionary<string, StringBuilder>();

        foreach (var member in members)
        {
            if (!seen.Add(member.Body)) continue;

            if (!texts.TryGetValue(member.Type, out var text)) texts[member.Type] = text = new();
            if (text.Length > 0) text.Append('\n');
            text.Append(member.Name).Append('\n').Append(member.Body).Append('\n');
        }

        return [.. texts.Select(type => new TextDocument(type.Key, type.Value.ToString()))];
    }
}
