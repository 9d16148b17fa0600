namespace MoeSharp;

/// <summary>Sorts the kept pairs of a plan by expert: a counting sort, so that the pairs of an expert stay in the order of tokens.</summary>
internal static class ExpertOrder
{
    /// <summary>Fills <see cref="RoutingPlan.Offsets"/> and <see cref="RoutingPlan.Order"/>.</summary>
    public static void Fill(RoutingPlan plan)
    {
        ReadOnlySpan<int> experts = plan.Experts;
        Span<int> offsets = plan.Offsets;
        int rows = 0;
        if (plan.Slots is null)
        {
            foreach (int expert in experts)
            {
                if (expert < 0) continue;
                offsets[expert + 1]++;
                rows++;
            }
        }
        else
        {
            for (int pair = 0; pair < experts.Length; pair++)
            {
                if (!plan.IsKept(pair)) continue;
                offsets[experts[pair] + 1]++;
                rows++;
            }
        }

        for (int expert = 1; expert < offsets.Length; expert++) offsets[expert] += offsets[expert - 1];

        // filling moves each offset to its expert's end, which is where the next one's began
        plan.Order = GC.AllocateUninitializedArray<int>(rows);
        Span<int> order = plan.Order;
        for (int pair = 0; pair < experts.Length; pair++)
        {
            if (experts[pair] >= 0 && plan.IsKept(pair)) order[offsets[experts[pair]]++] = pair;
        }

        for (int expert = offsets.Length - 1; expert > 0; expert--) offsets[expert] = offsets[expert - 1];
        offsets[0] = 0;
    }
}
