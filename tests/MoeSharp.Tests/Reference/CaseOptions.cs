using System.Text.Json;

namespace MoeSharp.Tests;

/// <summary>Layer options from the description in a case file.</summary>
internal static class CaseOptions
{
    public static MoeOptions Read(JsonElement layer)
    {
        var router = layer.GetProperty("router");
        var experts = layer.GetProperty("experts");
        return new MoeOptions
        {
            HiddenSize = layer.GetProperty("hidden_size").GetInt32(),
            Router = new RouterOptions
            {
                ExpertCount = layer.GetProperty("num_experts").GetInt32(),
                TopK = layer.GetProperty("top_k").GetInt32(),
                Score = Choice<ScoreFunction>(router, "score"),
                HasLogitBias = Flag(router, "logit_bias"),
                HasCorrectionBias = Flag(router, "correction_bias"),
                HasPerExpertScale = Flag(router, "per_expert_scale"),
                GroupLimit = ReadGroupLimit(router),
                Weights = Choice<WeightSource>(router, "weights"),
                Renormalize = Choice<Renormalization>(router, "renormalize"),
                RenormalizeEpsilon = Number(router, "epsilon") ?? 0,
                Scale = Number(router, "scale") ?? 1,
                ApplyTo = Choice<WeightTarget>(router, "apply"),
            },
            Experts = new ExpertOptions
            {
                IntermediateSize = layer.GetProperty("expert_size").GetInt32(),
                Activation = Choice<ExpertActivation>(experts, "activation"),
                HasBias = Flag(experts, "bias"),
                Limit = Number(experts, "limit"),
            },
            Shared = ReadShared(layer),
            BalanceBias = layer.TryGetProperty("balance_bias", out var bias) ? new(bias.GetProperty("rate").GetDouble()) : null,
            Backend = layer.GetProperty("dispatch").GetProperty("kind").GetString() == "dense" ? ExpertBackend.Dense : ExpertBackend.Loop,
        };
    }

    private static GroupLimit? ReadGroupLimit(JsonElement router) => router.TryGetProperty("group_limit", out var limit)
        ? new GroupLimit(
            limit.GetProperty("groups").GetInt32(),
            limit.GetProperty("keep").GetInt32(),
            limit.GetProperty("by").GetString() == "max" ? GroupRanking.Max : GroupRanking.TopTwoSum)
        : null;

    private static SharedExpertOptions? ReadShared(JsonElement layer) => layer.TryGetProperty("shared", out var shared)
        ? new SharedExpertOptions { IntermediateSize = shared.GetProperty("size").GetInt32(), IsGated = Flag(shared, "gated"), Limit = Number(shared, "limit") }
        : null;

    private static bool Flag(JsonElement parent, string name) => parent.TryGetProperty(name, out var value) && value.GetBoolean();

    private static double? Number(JsonElement parent, string name) => parent.TryGetProperty(name, out var value) ? value.GetDouble() : null;

    // the names of the format are ours in snake_case
    private static T Choice<T>(JsonElement parent, string name)
        where T : struct, Enum =>
        parent.TryGetProperty(name, out var value) ? Enum.Parse<T>(value.GetString()!.Replace("_", "", StringComparison.Ordinal), ignoreCase: true) : default;
}
