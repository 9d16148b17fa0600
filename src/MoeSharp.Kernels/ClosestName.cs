namespace MoeSharp;

/// <summary>Finds the name that someone meant who typed another, for messages that end in "Did you mean …?".</summary>
internal static class ClosestName
{
    /// <summary>" Did you mean 'x'?" for the nearest candidate, or nothing when none is near.</summary>
    public static string Hint(string typed, IEnumerable<string> candidates)
    {
        var best = candidates.Select(name => (name, distance: Distance(typed, name))).DefaultIfEmpty((name: "", distance: int.MaxValue)).MinBy(pair => pair.distance);

        int letters = typed.TrimStart('-').Length;
        return best.distance < letters && best.distance <= Math.Max(1, letters / 3) ? $" Did you mean '{best.name}'?" : "";
    }

    /// <summary>Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other (optimal string alignment).</summary>
    public static int Distance(string a, string b)
    {
        var cost = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) cost[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) cost[0, j] = j;

        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var substitution = cost[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                cost[i, j] = Math.Min(substitution, 1 + Math.Min(cost[i - 1, j], cost[i, j - 1]));
                var isSwap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if (isSwap) cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
            }
        }

        return cost[a.Length, b.Length];
    }
}
