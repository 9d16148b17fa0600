using System.Globalization;

namespace MoeSharp.Training;

/// <summary>Unicode's canonical decompositions, compositions and combining classes, from the table in CanonicalDecompositions.txt.</summary>
internal sealed class CanonicalTable
{
    private readonly Dictionary<int, int[]> _decompositions = [];
    private readonly Dictionary<(int First, int Second), int> _compositions = [];
    private readonly Dictionary<int, int> _combiningClasses = [];

    private CanonicalTable(TextReader lines)
    {
        while (lines.ReadLine() is { } line)
        {
            if (line[0] == '#') continue;

            if (line.Contains(':', StringComparison.Ordinal)) AddClass(line.Replace("..", ":", StringComparison.Ordinal).Split(':'));
            else AddDecomposition(line.Split('=', '>', ' ').Select(Code).ToArray(), composes: line.Contains('=', StringComparison.Ordinal));
        }
    }

    /// <summary>The table, read when first needed.</summary>
    public static CanonicalTable Instance => Loaded.Value;

    private static Lazy<CanonicalTable> Loaded { get; } = new(() =>
    {
        // the project file embeds it, so it is never null
        using var lines = new StreamReader(typeof(CanonicalTable).Assembly.GetManifestResourceStream("CanonicalDecompositions.txt")!);
        return new(lines);
    });

    /// <summary>One or two code points; null when the code point stays as it is.</summary>
    public int[]? Decomposition(int codePoint) => _decompositions.GetValueOrDefault(codePoint);

    /// <summary>What two code points compose to; null when they stay apart.</summary>
    public int? Composition(int first, int second) => _compositions.TryGetValue((first, second), out var composed) ? composed : null;

    /// <summary>0 for a base character; marks with different classes may change places.</summary>
    public int CombiningClass(int codePoint) => _combiningClasses.GetValueOrDefault(codePoint);

    private static int Code(string hexadecimal) => int.Parse(hexadecimal, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private void AddClass(string[] parts)
    {
        for (var codePoint = Code(parts[0]); codePoint <= Code(parts[1]); codePoint++)
        {
            _combiningClasses[codePoint] = int.Parse(parts[2], CultureInfo.InvariantCulture);
        }
    }

    private void AddDecomposition(int[] codePoints, bool composes)
    {
        _decompositions[codePoints[0]] = codePoints[1..];
        if (composes) _compositions[(codePoints[1], codePoints[2])] = codePoints[0];
    }
}
