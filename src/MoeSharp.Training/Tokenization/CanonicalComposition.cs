using System.Text;

namespace MoeSharp.Training;

/// <summary>
/// Unicode's normal form C (UAX #15), the normalizer of Qwen's tokenizers. Not <see cref="string.Normalize()"/>: in a program without ICU
/// (<c>InvariantGlobalization</c>) that returns the text unchanged and says nothing, and ids must not depend on how a program was built.
/// </summary>
internal static class CanonicalComposition
{
    /// <summary>The text in normal form C; it must not hold half a surrogate pair.</summary>
    public static string Apply(string text)
    {
        // nothing below the first combining mark decomposes into what is not composed again
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', '\u02FF')) return text;

        var codePoints = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, codePoints);
        OrderMarks(codePoints);

        var composed = new StringBuilder(text.Length);
        foreach (var codePoint in Compose(codePoints)) composed.Append(new Rune(codePoint));
        return composed.ToString();
    }

    private static void Decompose(int codePoint, List<int> codePoints)
    {
        if (Hangul.IsSyllable(codePoint))
        {
            Hangul.Decompose(codePoint, codePoints);
        }
        else if (CanonicalTable.Instance.Decomposition(codePoint) is { } parts)
        {
            foreach (var part in parts) Decompose(part, codePoints);
        }
        else
        {
            codePoints.Add(codePoint);
        }
    }

    // Marks on one base, in the order of their classes; equal classes keep their order.
    private static void OrderMarks(List<int> codePoints)
    {
        for (var start = 0; start < codePoints.Count; start++)
        {
            var end = start;
            while (end < codePoints.Count && CanonicalTable.Instance.CombiningClass(codePoints[end]) != 0) end++;
            if (end - start < 2) continue;

            var marks = codePoints[start..end].OrderBy(CanonicalTable.Instance.CombiningClass).ToList();
            for (var i = 0; i < marks.Count; i++) codePoints[start + i] = marks[i];
            start = end;
        }
    }

    private static List<int> Compose(List<int> codePoints)
    {
        var composed = new List<int>(codePoints.Count);
        var starter = -1;                                                       // the last base character, by place
        var lastClass = -1;                                                     // of the last mark kept behind it; -1: none

        foreach (var codePoint in codePoints)
        {
            var combiningClass = CanonicalTable.Instance.CombiningClass(codePoint);
            var isBlocked = starter < 0 || lastClass >= combiningClass;         // a mark of the same class, or another base, stands between
            if (!isBlocked && Pair(composed[starter], codePoint) is { } pair)
            {
                composed[starter] = pair;
                continue;
            }

            composed.Add(codePoint);
            (starter, lastClass) = combiningClass == 0 ? (composed.Count - 1, -1) : (starter, combiningClass);
        }

        return composed;
    }

    private static int? Pair(int first, int second) => Hangul.Compose(first, second) ?? CanonicalTable.Instance.Composition(first, second);
}
