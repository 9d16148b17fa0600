namespace MoeSharp.TestKit;

/// <summary>The reference files under tests/fixtures.</summary>
public static class Fixtures
{
    /// <summary>The root of the repository that the running test was built from.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>A file or folder under tests/fixtures.</summary>
    public static string Path(params string[] parts) => System.IO.Path.Combine([RepositoryRoot, "tests", "fixtures", .. parts]);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "MoeSharp.slnx"))) return folder.FullName;
        }

        throw new DirectoryNotFoundException($"No MoeSharp.slnx above {AppContext.BaseDirectory}: run the tests from a checkout.");
    }
}
