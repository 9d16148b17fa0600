using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Selects the largest values of each row, equal ones by the lowest index.</summary>
internal static class TopExperts
{
    /// <summary>The indices [.., K] of the <paramref name="count"/> largest of <paramref name="choice"/> [.., E], largest first.</summary>
    /// <remarks>
    /// topk is several times faster than a sort but orders equal values as it likes. One value more than needed shows whether any
    /// equal ones are among them; only then the stable sort decides.
    /// </remarks>
    public static Tensor Select(Tensor choice, int count)
    {
        int inspected = (int)Math.Min(count + 1, choice.size(-1));
        var (values, indices) = choice.topk(inspected, -1);

        var ordered = HasEqualNeighbours(values) ? choice.sort(-1, descending: true, stable: true).Indices : indices;
        return ordered.narrow(-1, 0, count).contiguous();
    }

    private static bool HasEqualNeighbours(Tensor descending)
    {
        long pairs = descending.size(-1) - 1;
        return (descending.narrow(-1, 0, pairs) == descending.narrow(-1, 1, pairs)).any().item<bool>();
    }
}
