namespace MoeSharp.Training;

/// <summary>Finds what upstream's regular expressions (Oniguruma) and .NET's both accept but read differently.</summary>
internal static class PatternSyntax
{
    /// <summary>The first such construct, or null when the pattern means the same to both.</summary>
    public static string? Difference(string pattern)
    {
        var isInClass = false;

        for (var i = 0; i < pattern.Length; i++)
        {
            var rest = pattern.AsSpan(i);
            if (char.IsSurrogate(rest[0])) return "a character beyond U+FFFF";

            if (rest is ['\\', var escaped, ..])
            {
                if ("hHRXKGyYZAzMN".Contains(escaped)) return $"\\{escaped}";
                i++;
            }
            else if (isInClass)
            {
                if (rest[0] == '[') return "[ inside [ ]";
                if (rest.StartsWith("&&")) return "&& inside [ ]";
                isInClass = rest[0] != ']';
            }
            else
            {
                isInClass = rest[0] == '[';
            }
        }

        return null;
    }
}
