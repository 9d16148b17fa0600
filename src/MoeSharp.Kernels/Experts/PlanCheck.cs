namespace MoeSharp;

/// <summary>Holds a plan of a caller, whose arrays anybody can write, to what the passes rely on: they read memory by it.</summary>
internal static class PlanCheck
{
    /// <summary>Throws unless the rows of every expert are pairs of its own, each once, in ascending order.</summary>
    /// <exception cref="ArgumentException">The plan is of another number of experts, or was changed.</exception>
    public static void Check(RoutingPlan plan, int expertCount)
    {
        if (plan.ExpertCount != expertCount)
            throw new ArgumentException($"The plan routes to {plan.ExpertCount} experts, but the layer has {expertCount}; is it of another layer?", nameof(plan));

        int[] offsets = plan.Offsets, order = plan.Order, experts = plan.Experts;
        if (offsets[0] != 0 || offsets[expertCount] != order.Length) throw Changed(plan, "its offsets do not cover its rows");
        for (int expert = 0; expert < expertCount; expert++)
        {
            int end = offsets[expert + 1], last = -1;
            if (end < offsets[expert] || end > order.Length) throw Changed(plan, $"its offsets descend at expert {expert}");
            for (int row = offsets[expert]; row < end; row++)
            {
                int pair = order[row];
                if (pair <= last || pair >= experts.Length || experts[pair] != expert) throw Changed(plan, $"row {row} of expert {expert} is pair {pair}");
                last = pair;
            }
        }
    }

    private static ArgumentException Changed(RoutingPlan plan, string fault) => new($"The plan was changed after it was made: {fault}.", nameof(plan));
}
