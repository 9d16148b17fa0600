using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>Layers as people write them: <c>0-2, 5</c>.</summary>
internal static class LayerRanges
{
    private const int Worthwhile = 4;       // shorter runs with gaps read better as single numbers

    /// <summary>Ascending indices in words; "none" for no indices.</summary>
    public static string Words(IReadOnlyList<int> layers)
    {
        var words = new List<string>();
        for (int first = 0; first < layers.Count;)
        {
            int count = RunFrom(layers, first);
            int step = count > 1 ? layers[first + 1] - layers[first] : 1;
            if (step > 1 && count < Worthwhile) (count, step) = (1, 1);

            words.Add(Run(layers[first], layers[first + count - 1], step));
            first += count;
        }

        return words.Count == 0 ? "none" : string.Join(", ", words);
    }

    // how many indices follow each other at the same distance
    private static int RunFrom(IReadOnlyList<int> layers, int first)
    {
        int next = first + 1;
        while (next < layers.Count && layers[next] - layers[next - 1] == layers[first + 1] - layers[first]) next++;
        return next - first;
    }

    private static string Run(int first, int last, int step) => step switch
    {
        > 1 => Invariant($"every {step}. of {first}-{last}"),
        _ => first == last ? Invariant($"{first}") : Invariant($"{first}-{last}"),
    };

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
