using System.Text.Json;

namespace MoeSharp.Kernels.Tests;

/// <summary>MaxText's tables of routing: dispatch masks, sorted rows, group masks, receive buffers.</summary>
public sealed class MaxTextRoutingTests
{
    private static readonly JsonElement Golden = RoutingTestKit.Fixture("maxtext-routing.json");

    [Theory]
    [InlineData("generate_masks")]
    [InlineData("generate_masks_subgroup")]
    public void Capacity_HasTheReferencesCombineMask(string name)
    {
        foreach (var golden in Golden.GetProperty(name).EnumerateArray())
        {
            var (given, expected) = (golden.GetProperty("in"), golden.GetProperty("out"));
            var ids = given.GetProperty("top_k_indices");
            int experts = given.GetProperty("num_experts").GetInt32(), sequences = ids.GetArrayLength(), length = ids[0].GetArrayLength(), topK = ids[0][0].GetArrayLength();
            var kernel = RoutingTestKit.Kernel(
                new() { ExpertCount = experts, TopK = topK, Score = ScoreFunction.Identity, Select = new Selection.Forced() },
                new() { Factor = given.GetProperty("capacity_factor").GetDouble(), Rounding = CapacityRounding.CeilingOfMean });

            var plan = kernel.Route(new RoutingInput
            {
                Logits = RoutingTestKit.Floats(given.GetProperty("probs")),
                Sequences = sequences,
                SequenceLength = length,
                Experts = [.. RoutingTestKit.Ints(ids).Select(id => (long)id)],
            });

            Assert.Equal(expected.GetProperty("capacity").GetInt32(), plan.SlotsPerExpert);
            // entries (sequence, (part,) token, expert, slot, weight)
            var entries = expected.GetProperty("combine_mask_nonzero").EnumerateArray().Select(entry => entry.EnumerateArray().ToArray())
                .Select(entry => ((entry[0].GetInt32() * length) + entry[^4].GetInt32(), entry[^3].GetInt32(), entry[^2].GetInt32(), entry[^1].GetSingle()));
            Assert.Equal(entries.Order(), plan.Order.Select(pair => (pair / topK, plan.Experts[pair], plan.Slots![pair], plan.Weights[pair])).Order());
        }
    }

    [Fact]
    public void Order_HasTheReferencesSortedRowsAndSizes()
    {
        foreach (var golden in Golden.GetProperty("permute").EnumerateArray())
        {
            var (given, expected) = (golden.GetProperty("in"), golden.GetProperty("out"));
            if (given.GetProperty("roll_to_expert_id").ValueKind != JsonValueKind.Null) continue;       // a rotation for rings of experts

            var logits = given.GetProperty("logits");
            int sequences = logits.GetArrayLength(), length = logits[0].GetArrayLength(), topK = given.GetProperty("top_k").GetInt32();
            var kernel = RoutingTestKit.Kernel(new() { ExpertCount = logits[0][0].GetArrayLength(), TopK = topK, Score = ScoreFunction.Identity, Weights = WeightSource.SoftmaxOfSelected });

            var plan = kernel.Route(new RoutingInput { Logits = RoutingTestKit.Floats(logits), Sequences = sequences, SequenceLength = length });

            Assert.Equal(RoutingTestKit.Ints(expected.GetProperty("sorted_selected_experts")), plan.Order);
            Assert.Equal(RoutingTestKit.Ints(expected.GetProperty("sorted_rows")), plan.Order.Select(pair => pair / topK));
            Assert.Equal(RoutingTestKit.Ints(expected.GetProperty("group_size")), plan.Offsets.Zip(plan.Offsets.Skip(1), (start, end) => end - start));
            Assert.Equal(RoutingTestKit.Floats(expected.GetProperty("weights")), plan.Weights, (a, b) => Math.Abs(a - b) < 1e-6);
        }
    }

    [Fact]
    public void GroupLimit_KeepsTheReferencesGroups()
    {
        foreach (var golden in Golden.GetProperty("expert_group_mask").EnumerateArray())
        {
            var given = golden.GetProperty("in");
            float[] scores = RoutingTestKit.Floats(given.GetProperty("scores")), mask = RoutingTestKit.Floats(golden.GetProperty("out"));
            int experts = given.GetProperty("scores")[0][0].GetArrayLength(), groups = given.GetProperty("groups").GetInt32(), keep = given.GetProperty("keep").GetInt32();
            int kept = experts / groups * keep;      // as many as are kept: all of them are chosen
            var kernel = RoutingTestKit.Kernel(new() { ExpertCount = experts, TopK = kept, Score = ScoreFunction.Identity, GroupLimit = new(groups, keep, GroupRanking.TopTwoSum) });

            var plan = kernel.Route(new RoutingInput { Logits = scores, Sequences = 1, SequenceLength = scores.Length / experts });

            for (int token = 0; token < plan.TokenCount; token++)
            {
                Assert.Equal(
                    Enumerable.Range(0, experts).Where(e => mask[(token * experts) + e] == 1),
                    plan.Experts.Skip(token * kept).Take(kept).Order());
            }
        }
    }

    [Fact]
    public void ReceiveBuffers_TakeWhatTheReferencesTruncatedTableSays()
    {
        foreach (var golden in Golden.GetProperty("truncate_matrix").EnumerateArray())
        {
            var given = golden.GetProperty("in");
            int[][] sizes = [.. given.GetProperty("all_shards_group_sizes").EnumerateArray().Select(RoutingTestKit.Ints)];
            int shards = sizes.Length, slots = given.GetProperty("buffer_size").GetInt32(), length = sizes.Max(row => row.Sum());
            if (length == 0) continue;

            // one expert per shard and one sequence per sender, whose tokens go where the table says; the rest of it is padding
            var mask = new bool[shards * length];
            var experts = new long[shards * length];
            foreach (var (sender, row) in sizes.Index())
            {
                long[] to = [.. row.SelectMany((count, receiver) => Enumerable.Repeat((long)receiver, count))];
                to.CopyTo(experts, sender * length);
                mask.AsSpan(sender * length, to.Length).Fill(true);
            }

            var kernel = new RoutingKernel(new MoeOptions
            {
                HiddenSize = 1,
                Experts = new() { IntermediateSize = 1 },
                Router = new() { ExpertCount = shards, TopK = 1, Select = new Selection.Forced() },
                Dispatch = new() { RaggedBuffer = new(shards, (slots + 0.5) / length) },
            });
            var plan = kernel.Route(new RoutingInput { Logits = new float[shards * length * shards], Sequences = shards, SequenceLength = length, Mask = mask, Experts = experts });

            Assert.Equal(slots, plan.SlotsPerExpert);
            int[] expected = RoutingTestKit.Ints(golden.GetProperty("out")), received = new int[shards * shards];
            foreach (int token in plan.Order) received[(token / length * shards) + plan.Experts[token]]++;
            Assert.Equal(expected, received);
        }
    }
}
