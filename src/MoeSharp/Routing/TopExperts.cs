using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Selects the largest values of each row, equal ones by the lowest index.</summary>
internal static class TopExperts
{
    /// <summary>The indices [T, K] of the <paramref name="count"/> largest of <paramref name="choice"/> [T, E], largest first.</summary>
    public static Tensor Select(Tensor choice, int count) =>
        choice.sort(-1, descending: true, stable: true).Indices.narrow(-1, 0, count);
}
