namespace MoeSharp;

/// <summary>
/// Restricts each token to the experts of its best groups: experts form contiguous groups of equal size, the groups are ranked by
/// their choice values, and experts outside the kept groups cannot be selected.
/// </summary>
/// <param name="Groups">The number of groups; divides the number of experts.</param>
/// <param name="Keep">How many groups a token keeps; 1 to <paramref name="Groups"/>, together at least top-k experts.</param>
/// <param name="By">How a group is ranked.</param>
public sealed record GroupLimit(int Groups, int Keep, GroupRanking By)
{
    /// <summary>How many of a group's choice values <see cref="GroupRanking.TopSum"/> adds; 1 to the size of a group, default 2.</summary>
    public int Count { get; init; } = 2;

    /// <summary>How many of a group's best choice values its rank adds up.</summary>
    internal int Summed => By == GroupRanking.Max ? 1 : By == GroupRanking.TopTwoSum ? 2 : Count;

    internal void CollectFaults(OptionFaults faults, int expertCount, int topK)
    {
        bool divides = Groups >= 1 && expertCount % Groups == 0;
        faults.When(!divides, $"GroupLimit.Groups is {Groups}; it must divide the {expertCount} experts evenly.");
        faults.When(Keep < 1 || (divides && Keep > Groups), $"GroupLimit.Keep is {Keep}; set it to 1..{Math.Max(Groups, 1)}.");
        faults.WhenUndefined(By, "GroupLimit.By");
        if (!divides) return;

        int size = expertCount / Groups;
        faults.When(By == GroupRanking.TopTwoSum && size < 2, $"GroupLimit ranks by the best two of a group, but a group has {size} expert; use fewer groups or rank by Max.");
        faults.When(By == GroupRanking.TopSum && (Count < 1 || Count > size), $"GroupLimit.Count is {Count}, but a group has {size} experts; set it to 1..{size}.");
        faults.When((long)Keep * size < topK, $"GroupLimit keeps {Keep} groups of {size} experts, fewer than TopK = {topK}; keep more groups.");
    }
}

/// <summary>How a group of experts is ranked for a token.</summary>
public enum GroupRanking
{
    /// <summary>By the largest choice value of the group (DeepSeek-V2).</summary>
    Max,

    /// <summary>By the sum of the two largest choice values of the group (DeepSeek-V3).</summary>
    TopTwoSum,

    /// <summary>By the sum of the <see cref="GroupLimit.Count"/> largest choice values of the group (Megatron-Core, with K / keep of them).</summary>
    TopSum,
}
