namespace MoeSharp;

/// <summary>Sorts the kept pairs of a plan by expert: a counting sort, so that the pairs of an expert stay in the order of tokens.</summary>
internal static class ExpertOrder
{
    /// <summary>Fills <see cref="RoutingPlan.Offsets"/> and <see cref="RoutingPlan.Order"/>.</summary>
    public static void Fill(RoutingPlan plan)
    {
        var (experts, offsets) = (plan.Experts, plan.Offsets);
        for (int pair = 0; pair < experts.Length; pair++)
        {
            if (plan.IsKept(pair)) offsets[experts[pair] + 1]++;
        }

        for (int expert = 0; expert < plan.ExpertCount; expert++) offsets[expert + 1] += offsets[expert];

        int[] order = new int[offsets[^1]], next = offsets[..^1];
        for (int pair = 0; pair < experts.Length; pair++)
        {
            if (plan.IsKept(pair)) order[next[experts[pair]]++] = pair;
        }

        plan.Order = order;
    }
}
