using System.Text.RegularExpressions;

namespace MoeSharp.Checkpoints;

/// <summary>
/// Names of modules as the libraries that quantize match them: <c>re:</c> and a pattern for the start of the name; the name itself or a module
/// around it; the last parts of the name; or a pattern with <c>*</c> for anything. Made once: a config may list hundreds for ninety thousand modules.
/// </summary>
internal sealed class ModuleNames
{
    private static readonly TimeSpan PatternTime = TimeSpan.FromSeconds(1);     // patterns come out of files

    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _plain;
    private readonly (string Pattern, Lazy<Regex> Regex)[] _patterns;

    public ModuleNames(IReadOnlyList<string> names)
    {
        Names = names;
        _plain = names.Where(name => !IsPattern(name)).ToHashSet().GetAlternateLookup<ReadOnlySpan<char>>();
        _patterns = [.. names.Where(IsPattern).Select(Pattern).Select(pattern => (pattern, new Lazy<Regex>(() => new Regex($"^(?:{pattern})", RegexOptions.CultureInvariant, PatternTime))))];
    }

    /// <summary>The names as they are given.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Whether one of them names a module.</summary>
    /// <exception cref="MoeException">A pattern takes too long to match.</exception>
    public bool Match(string module) => MatchPlain(module) || MatchPattern(module);

    /// <summary>Whether one of the patterns names a module.</summary>
    /// <exception cref="MoeException">A pattern takes too long to match.</exception>
    public bool MatchPattern(string module) => Array.Exists(_patterns, each => IsMatch(each.Regex.Value, each.Pattern, module));

    /// <summary>A pattern of Python as one of .NET: names of groups are written in another way.</summary>
    public static string Translate(string pattern) => pattern.Replace("(?P<", "(?<", StringComparison.Ordinal);

    /// <summary>Whether one of the names without patterns names a module.</summary>
    public bool MatchPlain(ReadOnlySpan<char> module)
    {
        if (_plain.Set.Count == 0) return false;
        if (_plain.Contains(module)) return true;

        for (int i = 0; i < module.Length; i++)
        {
            if (module[i] == '.' && (_plain.Contains(module[..i]) || _plain.Contains(module[(i + 1)..]))) return true;
        }

        return false;
    }

    private static bool IsMatch(Regex regex, string pattern, string module)
    {
        try
        {
            return regex.IsMatch(module);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new MoeException($"The pattern {TensorName.Quote(pattern)} of the quantization_config takes more than {PatternTime.TotalSeconds} s to match; simplify it.", e);
        }
    }

    private static bool IsPattern(string name) => IsRegex(name) || name.Contains('*', StringComparison.Ordinal);

    private static bool IsRegex(string name) => name.StartsWith("re:", StringComparison.Ordinal);

    private static string Pattern(string name) => IsRegex(name) ? Translate(name[3..]) : $"{Regex.Escape(name).Replace("\\*", ".*", StringComparison.Ordinal)}(\\.|$)";
}
