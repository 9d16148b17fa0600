using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Takes the experts outside a token's best groups out of its choice.</summary>
internal static class GroupMask
{
    /// <summary>
    /// <paramref name="choice"/> [T, E] with minus infinity outside the kept groups. Zero would not do: a biased score may be negative,
    /// and an expert of a lost group would then beat one of a kept group. Equal groups: the first one is kept.
    /// </summary>
    public static Tensor Apply(Tensor choice, GroupLimit limit)
    {
        var (T, E) = (choice.size(0), choice.size(1));
        var grouped = choice.view(T, limit.Groups, E / limit.Groups);                       // [T, G, E/G]
        var kept = TopExperts.Select(Rank(grouped, limit.By), limit.Keep);                  // [T, keep]
        var isLost = ones(T, limit.Groups, dtype: @bool, device: choice.device).scatter(-1, kept, zeros_like(kept, @bool));

        return grouped.masked_fill(isLost.unsqueeze(-1), double.NegativeInfinity).view(T, E);
    }

    private static Tensor Rank(Tensor grouped, GroupRanking by) => by switch               // [T, G]
    {
        GroupRanking.Max => grouped.amax([-1L]),
        GroupRanking.TopTwoSum => grouped.topk(2, -1).values.sum(-1),                       // which of equals it takes does not change the sum
        _ => throw new ArgumentOutOfRangeException(nameof(by), by, "No such group ranking."),
    };
}
