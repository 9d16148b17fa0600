using MoeSharp.TestKit;

namespace MoeSharp.Readme.Tests;

/// <summary>A block of C# in a Markdown file, as a program of its own.</summary>
/// <param name="File">The file.</param>
/// <param name="Line">The line of the first line of code, counted from 1.</param>
/// <param name="Code">The code.</param>
internal sealed record Sample(string File, int Line, string Code);

/// <summary>The blocks that start with <c>```csharp</c>. One that is not a program says so: <c>```csharp no-compile</c>.</summary>
internal static class MarkdownSamples
{
    private const string Fence = "```";

    /// <summary>The Markdown files that users read, relative to the repository.</summary>
    public static IEnumerable<string> Files() => new[] { Files(".", "README.md", SearchOption.TopDirectoryOnly), Files("src", "README.md"), Files("docs", "*.md") }
        .SelectMany(files => files)
        .Order(StringComparer.Ordinal);

    public static IEnumerable<Sample> In(string file)
    {
        var lines = File.ReadAllLines(Path.Combine(Fixtures.RepositoryRoot, file));
        for (var start = 0; start < lines.Length; start++)
        {
            if (!lines[start].StartsWith(Fence, StringComparison.Ordinal)) continue;

            var end = Array.FindIndex(lines, start + 1, line => line.TrimEnd() == Fence);
            Assert.True(end > 0, $"{file}({start + 1}): the block does not end");
            if (lines[start].TrimEnd() == Fence + "csharp") yield return new Sample(file, start + 2, string.Join('\n', lines[(start + 1)..end]));
            start = end;
        }
    }

    private static IEnumerable<string> Files(string folder, string pattern, SearchOption option = SearchOption.AllDirectories)
    {
        var path = Path.Combine(Fixtures.RepositoryRoot, folder);
        return Directory.Exists(path)
            ? Directory.EnumerateFiles(path, pattern, option).Select(file => Path.GetRelativePath(Fixtures.RepositoryRoot, file))
            : [];
    }
}
