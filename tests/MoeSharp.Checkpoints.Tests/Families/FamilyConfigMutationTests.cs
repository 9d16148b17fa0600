using System.Text.Json.Nodes;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Valid models whose configs are changed at random: each opens and its layers load, or it is refused with a message.</summary>
public sealed class FamilyConfigMutationTests : IDisposable
{
    private const int Mutants = 60;

    /// <summary>No model here needs more; a reader that trusts a number of the config needs gigabytes.</summary>
    private const long AllocationLimit = 32 << 20;

    private static readonly string[] Hostile =
    [
        "null", "true", "false", "0", "1", "-1", "2", "3", "1e400", "1e-400", "0.5", "-0.0", "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "1e18", "\"\"", "\"\\u0000\"", "\"\\ud800\"",
        "\"silu\"", "\"sigmoid\"", "\"softmax\"", "\"1\"", "[]", "[0]", "[-1]", "[1, 2, 3, 4]", "[null]", "[[1]]", "[1e18]", "{}", "{\"type\": \"yarn\"}", "{\"0\": 1}",
    ];

    private static readonly string[] MoreKeys =
    [
        "quantization_config", "rope_scaling", "rope_parameters", "layer_types", "mlp_layer_types", "mlp_only_layers", "text_config", "head_dim", "num_key_value_heads", "kv_lora_rank", "qk_rope_head_dim", "v_head_dim", "rms_norm_eps", "rope_theta",
        "tie_word_embeddings", "moesharp_layers", "model_type", "architectures", "hidden_act", "n_group", "topk_group", "topk_method", "scoring_func", "norm_topk_prob", "routed_scaling_factor", "first_k_dense_replace", "moe_layer_freq",
        "decoder_sparse_step", "num_experts", "num_local_experts", "n_routed_experts", "n_shared_experts", "num_hash_layers", "swiglu_limit", "attention_bias", "sliding_window", "torch_dtype", "dtype",
    ];

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<FamilyCase> Families => [.. FamilyCases.All];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Families))]
    public void Open_AChangedConfig_OpensOrThrowsCheckpointException(FamilyCase each)
    {
        ModelFamilyTests.Write(_folder, each, layout: 0, prefix: 0, way: 0);
        var random = new Random(each.Family.Length + FuzzRun.Seed);
        for (int i = 0; i < Mutants * FuzzRun.Rounds; i++)
        {
            string mutant = Mutate(JsonNode.Parse(each.Json)!.AsObject(), random);
            File.WriteAllText(_folder.File(ModelConfig.FileName), mutant);

            long before = GC.GetAllocatedBytesForCurrentThread();
            OpenOrRefuse(mutant);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocationLimit);
        }
    }

    private void OpenOrRefuse(string mutant)
    {
        try
        {
            using var checkpoint = MoeCheckpoint.Open(_folder.Path);
            foreach (int layer in checkpoint.MoeLayers) checkpoint.Load(layer).Dispose();
        }
        catch (CheckpointException e)
        {
            Assert.StartsWith(_folder.Path, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(e.Message.Replace(Environment.NewLine, "", StringComparison.Ordinal), char.IsControl);
        }
        catch (Exception e) when (e is not Xunit.Sdk.XunitException)
        {
            Assert.Fail($"{mutant}: {e}");
        }
    }

    private static string Mutate(JsonObject config, Random random)
    {
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            if (random.Next(3) == 0) config[MoreKeys[random.Next(MoreKeys.Length)]] = Placeholder(random);
            else Change(config, random);
        }

        string json = config.ToJsonString();
        for (int i = 0; i < Hostile.Length; i++) json = json.Replace($"\"hostile {i}\"", Hostile[i], StringComparison.Ordinal);
        return json;
    }

    private static void Change(JsonNode node, Random random)
    {
        if (node is JsonObject { Count: > 0 } json)
        {
            string key = json.ElementAt(random.Next(json.Count)).Key;
            if (json[key] is JsonObject or JsonArray && random.Next(2) == 0) Change(json[key]!, random);
            else if (random.Next(4) == 0) json.Remove(key);
            else json[key] = Placeholder(random);
        }
        else if (node is JsonArray list)
        {
            if (list.Count > 0 && random.Next(3) == 0) list.RemoveAt(random.Next(list.Count));
            else if (list.Count > 0 && random.Next(2) == 0) list[random.Next(list.Count)] = Placeholder(random);
            else list.Add(Placeholder(random));
        }
    }

    // numbers and texts that JsonNode does not hold are put in afterwards
    private static JsonValue Placeholder(Random random) => JsonValue.Create($"hostile {random.Next(Hostile.Length)}");
}
