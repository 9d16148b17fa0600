using Microsoft.Extensions.FileSystemGlobbing;

namespace MoeSharp.Training;

/// <summary>A file to read.</summary>
/// <param name="Path">Its full path.</param>
/// <param name="IsNamed">Whether the user named this very file; a file that a folder or pattern led to may turn out to hold no text.</param>
internal sealed record DataSource(string Path, bool IsNamed);

/// <summary>Turns what a user names (a file, a folder, a pattern) into files.</summary>
internal static class DataSources
{
    private static readonly string[] PassedOver = ["bin", "obj", "node_modules"];

    public static IEnumerable<DataSource> Find(string path)
    {
        if (string.IsNullOrWhiteSpace(path)) throw new MoeException("A data path is empty: name a file, a folder or a pattern.");
        if (File.Exists(path)) return [new(Path.GetFullPath(path), IsNamed: true)];

        var files = Directory.Exists(path) ? FilesBelow(path)
            : path.Contains('*') ? Matches(path)
            : throw new MoeException($"There is no file or folder at {path}.");

        return files.Count > 0 ? files : throw new MoeException($"No file was found in {path}.");
    }

    private static List<DataSource> FilesBelow(string folder)
    {
        var files = new List<DataSource>();
        Collect(new(Path.GetFullPath(folder)), files);
        return files;
    }

    private static void Collect(DirectoryInfo folder, List<DataSource> files)
    {
        try
        {
            foreach (var entry in folder.EnumerateFileSystemInfos().OrderBy(entry => entry.Name, StringComparer.Ordinal))
            {
                if (entry.Name.StartsWith('.')) continue;

                if (entry is DirectoryInfo inner) CollectInner(inner, files);
                else if (!IsBrokenLink(entry)) files.Add(new(entry.FullName, IsNamed: false));
            }
        }
        catch (UnauthorizedAccessException error)
        {
            throw new MoeException($"The folder {folder.FullName} cannot be read: {error.Message}", error);
        }
    }

    private static void CollectInner(DirectoryInfo folder, List<DataSource> files)
    {
        var isLink = folder.LinkTarget is not null;                             // may lead back to where we are
        if (!isLink && !PassedOver.Contains(folder.Name, StringComparer.OrdinalIgnoreCase)) Collect(folder, files);
    }

    private static bool IsBrokenLink(FileSystemInfo file) =>
        file.LinkTarget is not null && file.ResolveLinkTarget(returnFinalTarget: true)?.Exists != true;

    private static List<DataSource> Matches(string pattern)
    {
        var (root, below) = SplitAtFirstWildcard(pattern);
        if (!Directory.Exists(root)) throw new MoeException($"There is no folder {root} for the pattern {pattern}.");

        var matcher = new Matcher(StringComparison.Ordinal).AddInclude(below);
        var files = matcher.GetResultsInFullPath(root).Select(Path.GetFullPath).Order(StringComparer.Ordinal);
        return [.. files.Select(file => new DataSource(file, IsNamed: false))];
    }

    private static (string Root, string Pattern) SplitAtFirstWildcard(string pattern)
    {
        var certain = pattern.AsSpan(0, pattern.IndexOf('*', StringComparison.Ordinal));
        var separator = certain.LastIndexOfAny(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar);
        return separator < 0 ? (".", pattern) : (pattern[..(separator + 1)], pattern[(separator + 1)..]);
    }
}
