namespace MoeSharp;

/// <summary>
/// Sorts the kept pairs of a plan by expert: a counting sort, so that the pairs of an expert stay in the order of tokens. Each thread has two
/// parts of the pairs and takes from both in turn: alone, a pair whose expert is that of one just before waits for its counter to be stored.
/// </summary>
internal static unsafe class ExpertOrder
{
    private const int PairsPerThread = 4096;
    private const int LeastInParts = 512;

    /// <summary>Fills <see cref="RoutingPlan.Offsets"/> and <see cref="RoutingPlan.Order"/>.</summary>
    public static void Fill(RoutingPlan plan)
    {
        int[] experts = plan.Slots is null ? plan.Experts : KeptExperts(plan);
        if (experts.Length < LeastInParts) FillAlone(plan, experts);
        else FillInParts(plan, experts, Math.Clamp(experts.Length / PairsPerThread, 1, WorkerPool.Shared.Threads));
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
        int[] order = plan.Order = GC.AllocateUninitializedArray<int>(offsets[^1]);
        for (int pair = 0; pair < experts.Length; pair++)
        {
            if (experts[pair] >= 0) order[offsets[experts[pair]]++] = pair;
        }

        offsets[..^1].CopyTo(offsets[1..]);
        offsets[0] = 0;
    }

    private static void FillInParts(RoutingPlan plan, int[] experts, int threads)
    {
        int count = plan.ExpertCount, parts = 2 * threads;
        int[] next = new int[parts * count];        // per part: counts, then where its next pair of each expert goes
        ForEach(threads, thread => Count(experts, thread, threads, next, count));

        int row = 0;
        for (int expert = 0; expert < count; expert++)
        {
            plan.Offsets[expert] = row;
            for (int place = expert; place < next.Length; place += count) (next[place], row) = (row, row + next[place]);
        }

        plan.Offsets[count] = row;
        int[] order = plan.Order = new int[row];
        ForEach(threads, thread => Place(experts, thread, threads, next, count, order));
    }

    private static void ForEach(int threads, Action<int> body)
    {
        if (threads == 1) body(0);
        else WorkerPool.Shared.ForEach(threads, body);
    }

    private static int[] KeptExperts(RoutingPlan plan)
    {
        int[] kept = new int[plan.Experts.Length];
        for (int pair = 0; pair < kept.Length; pair++) kept[pair] = plan.Slots![pair] < 0 ? -1 : plan.Experts[pair];
        return kept;
    }

    private static void Count(int[] experts, int thread, int threads, int[] next, int count)
    {
        var (first, middle, end) = Parts(experts.Length, thread, threads);
        fixed (int* expert = experts, counts = next)
        {
            int* of = counts + 2 * thread * count;
            for (int a = first, b = middle; a < middle; a++, b++)
            {
                Count(expert[a], of);
                Count(expert[b], of + count);
            }

            for (int b = middle + (middle - first); b < end; b++) Count(expert[b], of + count);
        }
    }

    private static void Place(int[] experts, int thread, int threads, int[] next, int count, int[] order)
    {
        var (first, middle, end) = Parts(experts.Length, thread, threads);
        fixed (int* expert = experts, places = next, pairs = order)
        {
            int* of = places + 2 * thread * count;
            for (int a = first, b = middle; a < middle; a++, b++)
            {
                Place(a, expert[a], of, pairs);
                Place(b, expert[b], of + count, pairs);
            }

            for (int b = middle + (middle - first); b < end; b++) Place(b, expert[b], of + count, pairs);
        }
    }

    /// <summary>Where the two parts of a thread begin, and where they end; the second may have one pair more.</summary>
    private static (int First, int Middle, int End) Parts(int pairs, int thread, int threads)
    {
        int first = (int)((long)pairs * thread / threads), end = (int)((long)pairs * (thread + 1) / threads);
        return (first, first + (end - first) / 2, end);
    }

    private static void Count(int expert, int* counts)
    {
        if (expert >= 0) counts[expert]++;
    }

    private static void Place(int pair, int expert, int* next, int* order)
    {
        if (expert >= 0) order[next[expert]++] = pair;
    }
}
