namespace MoeSharp;

/// <summary>Gives the pairs of a plan their rows in the receive buffers of shards; see <see cref="RaggedBufferOptions"/>.</summary>
internal static class ReceiveBuffers
{
    /// <summary>Fills <see cref="RoutingPlan.Slots"/>: what finds the buffer of its expert's shard full is dropped.</summary>
    /// <exception cref="ArgumentException">The sequences do not lie on equal shards.</exception>
    public static void Assign(RaggedBufferOptions options, RoutingPlan plan, int topK, int sequences, int length)
    {
        if (sequences % options.Shards != 0)
            throw new ArgumentException($"{sequences} sequences do not lie evenly on {options.Shards} shards; change Dispatch.RaggedBuffer.Shards or the batch.");

        plan.Slots = new int[plan.Experts.Length];
        Array.Fill(plan.Slots, -1);
        plan.SlotsPerExpert = options.SlotsFor(sequences, length, topK);
        int[] filled = new int[options.Shards];
        int senderPairs = sequences / options.Shards * length * plan.Width, shardExperts = plan.ExpertCount / options.Shards;
        for (int sender = 0; sender < options.Shards; sender++)
        {
            var pairs = Enumerable.Range(sender * senderPairs, senderPairs).Where(pair => plan.Experts[pair] >= 0);
            foreach (int pair in pairs.OrderBy(pair => plan.Experts[pair]))     // stable: within an expert by token
            {
                ref int rows = ref filled[plan.Experts[pair] / shardExperts];
                if (rows < plan.SlotsPerExpert) plan.Slots[pair] = rows++;
            }
        }
    }
}
