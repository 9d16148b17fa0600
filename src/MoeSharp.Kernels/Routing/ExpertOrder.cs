namespace MoeSharp;

/// <summary>Sorts the kept pairs of a plan by expert: a counting sort, so that the pairs of an expert stay in the order of tokens.</summary>
internal static class ExpertOrder
{
    private const int PairsPerPart = 4096;

    /// <summary>Fills <see cref="RoutingPlan.Offsets"/> and <see cref="RoutingPlan.Order"/>.</summary>
    public static void Fill(RoutingPlan plan)
    {
        int[] experts = plan.Slots is null ? plan.Experts : KeptExperts(plan);
        int parts = Math.Min(experts.Length / PairsPerPart, Environment.ProcessorCount);
        if (parts > 1) FillInParts(plan, experts, parts);
        else FillAlone(plan, experts);
    }

    // few pairs: the offsets themselves count and then move
    private static void FillAlone(RoutingPlan plan, ReadOnlySpan<int> experts)
    {
        Span<int> offsets = plan.Offsets;
        foreach (int expert in experts)
        {
            if (expert >= 0) offsets[expert + 1]++;
        }

        int row = 0;        // in a register: through memory each step waits for the last one's store
        foreach (ref int offset in offsets) offset = row += offset;

        // filling moves each offset to its expert's end, which is where the next one's began
        plan.Order = GC.AllocateUninitializedArray<int>(offsets[^1]);
        Place(experts, 0, offsets, plan.Order);
        offsets[..^1].CopyTo(offsets[1..]);
        offsets[0] = 0;
    }

    private static void FillInParts(RoutingPlan plan, int[] experts, int parts)
    {
        int[][] next = new int[parts][];        // per part: counts, then where its next pair of each expert goes
        Parallel.For(0, parts, part => next[part] = Count(Part(experts, part, parts), plan.ExpertCount));

        int row = 0;
        for (int expert = 0; expert < plan.ExpertCount; expert++)
        {
            plan.Offsets[expert] = row;
            foreach (int[] places in next) (places[expert], row) = (row, row + places[expert]);
        }

        plan.Offsets[plan.ExpertCount] = row;
        int[] order = plan.Order = GC.AllocateUninitializedArray<int>(row);
        Parallel.For(0, parts, part => Place(Part(experts, part, parts), (int)((long)experts.Length * part / parts), next[part], order));
    }

    private static int[] KeptExperts(RoutingPlan plan)
    {
        int[] kept = new int[plan.Experts.Length];
        for (int pair = 0; pair < kept.Length; pair++) kept[pair] = plan.Slots![pair] < 0 ? -1 : plan.Experts[pair];
        return kept;
    }

    private static ReadOnlySpan<int> Part(int[] experts, int part, int parts) =>
        experts.AsSpan((int)((long)experts.Length * part / parts)..(int)((long)experts.Length * (part + 1) / parts));

    private static int[] Count(ReadOnlySpan<int> experts, int expertCount)
    {
        int[] counts = new int[expertCount];
        foreach (int expert in experts)
        {
            if (expert >= 0) counts[expert]++;
        }

        return counts;
    }

    private static void Place(ReadOnlySpan<int> experts, int firstPair, Span<int> next, int[] order)
    {
        for (int i = 0; i < experts.Length; i++)
        {
            if (experts[i] >= 0) order[next[experts[i]]++] = firstPair + i;
        }
    }
}
