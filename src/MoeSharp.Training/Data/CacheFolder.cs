namespace MoeSharp.Training;

/// <summary>Where tokens are kept between runs.</summary>
internal static class CacheFolder
{
    /// <summary>
    /// <c>MOESHARP_CACHE</c>, else <c>$XDG_CACHE_HOME/moesharp</c>, else <c>~/.cache/moesharp</c> (Windows: the local application data).
    /// </summary>
    public static string Default => Variable("MOESHARP_CACHE") ?? Path.Combine(SystemCache, "moesharp");

    private static string SystemCache =>
        Variable("XDG_CACHE_HOME")
        ?? (OperatingSystem.IsWindows()
            ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"));

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
