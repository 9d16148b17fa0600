using System.Text.Json;
using System.Text.Json.Nodes;
using MoeSharp.TestKit;

namespace MoeSharp.Kernels.Tests;

public sealed class MoeOptionsJsonFaultTests
{
    /// <summary>Fields beside the four sizes, and the one message that they give.</summary>
    public static TheoryData<string, string> Faults => new()
    {
        { """ "routr": {} """, "routr is not a field of the format. Did you mean 'router'?" },
        { """ "router": { "scroe": "softmax" } """, "router.scroe is not a field of the format. Did you mean 'score'?" },
        { """ "z_loss": { "coefficient": 1, "zzzzzz": 1 } """, "z_loss.zzzzzz is not a field of the format; expected one of coefficient." },
        { """ "load_balance": [{ "coefficient": 1 }, { "coefficient": 1, "sc\u006fpes": "batch" }] """, "load_balance[1].scopes is not a field of the format. Did you mean 'scope'?" },
        { """ "\ud800": 1 """, "(a name with half of a surrogate pair) is not a field of the format; expected one of hidden_size, expert_size, num_experts, top_k, router, experts, shared, dispatch, load_balance, z_loss, balance_bias, mask_scope, recompute." },
        { """ "top_k": 3 """, "top_k is given more than once; keep one." },
        { """ "experts": { "bias": true, "bias": true } """, "experts.bias is given more than once; keep one." },

        { """ "shared": {} """, "shared.size is missing; expected a whole number." },
        { """ "z_loss": {} """, "z_loss.coefficient is missing; expected a number." },
        { """ "balance_bias": {} """, "balance_bias.rate is missing; expected a number." },
        { """ "load_balance": {} """, "load_balance.coefficient is missing; expected a number." },
        { """ "load_balance": [{ "coefficient": 1 }, {}] """, "load_balance[1].coefficient is missing; expected a number." },
        { """ "router": { "group_limit": { "groups": 2 } } """, "router.group_limit.keep is missing; expected a whole number." },
        { """ "router": { "input_norm": { "kind": "rms" } } """, "router.input_norm.epsilon is missing; expected a number." },
        { """ "router": { "select": "token_table", "token_table": {} } """, "router.token_table.vocabulary_size is missing; expected a whole number." },
        { """ "dispatch": { "ragged_buffer": { "shards": 2 } } """, "dispatch.ragged_buffer.factor is missing; expected a number." },
        { """ "dispatch": { "kind": "capacity" } """, "dispatch.capacity is missing; expected an object, because kind is capacity." },
        { """ "dispatch": { "kind": "capacity", "capacity": {} } """, "dispatch.capacity.factor is missing; give it, or the slots themselves as fixed." },

        { """ "router": { "seed": 2.5 } """, "router.seed is 2.5; expected a whole number of at most 32 bits." },
        { """ "router": { "seed": 2147483648 } """, "router.seed is 2147483648; expected a whole number of at most 32 bits." },
        { """ "router": { "seed": "1" } """, "router.seed is '1'; expected a whole number of at most 32 bits." },
        { """ "router": { "seed": null } """, "router.seed is null; expected a whole number of at most 32 bits." },
        { """ "router": { "scale": "2" } """, "router.scale is '2'; expected a number." },
        { """ "router": { "scale": null } """, "router.scale is null; expected a number." },
        { """ "router": { "scale": 1e999 } """, "router.scale is 1e999; expected a number within the range of a double." },
        { """ "router": { "logit_bias": 1 } """, "router.logit_bias is 1; expected true or false." },
        { """ "router": { "logit_bias": null } """, "router.logit_bias is null; expected true or false." },
        { """ "router": [] """, "router is a list; expected an object." },
        { """ "router": null """, "router is null; expected an object." },
        { """ "shared": true """, "shared is true; expected an object." },
        { """ "z_loss": 0.1 """, "z_loss is 0.1; expected an object." },
        { """ "load_balance": 0.1 """, "load_balance is 0.1; expected null, an object or a list of objects." },
        { """ "load_balance": [null] """, "load_balance[0] is null; expected an object." },
        { """ "experts": { "limit": {} } """, "experts.limit is an object; expected a number." },

        { """ "router": { "score": "foo" } """, "router.score is 'foo'; expected one of softmax, sigmoid, sqrt_softplus, identity." },
        { """ "router": { "score": 1 } """, "router.score is 1; expected one of softmax, sigmoid, sqrt_softplus, identity." },
        { """ "router": { "score": "\ud800" } """, """router.score is '\ud800'; expected one of softmax, sigmoid, sqrt_softplus, identity.""" },
        { """ "router": { "select": "Top_K" } """, "router.select is 'Top_K'; expected one of top_k, token_table, sparsemixer, expert_choice, random, sinkhorn, quantile_balance, round_robin, forced." },
        { """ "router": { "group_limit": { "groups": 2, "keep": 1, "by": "foo" } } """, "router.group_limit.by is 'foo'; expected one of max, top2_sum, top_sum." },
        { """ "router": { "weights": "foo" } """, "router.weights is 'foo'; expected one of score, softmax_of_selected." },
        { """ "router": { "renormalize": "foo", "p": 2 } """, "router.renormalize is 'foo'; expected one of never, always, p_norm." },
        { """ "router": { "apply": "foo" } """, "router.apply is 'foo'; expected one of output, input." },
        { """ "router": { "input_norm": { "kind": "layer", "epsilon": 1 } } """, "router.input_norm.kind is 'layer'; expected 'rms'." },
        { """ "experts": { "activation": "foo" } """, "experts.activation is 'foo'; expected one of silu, gelu, gelu_tanh, relu, relu2, gpt_oss." },
        { """ "dispatch": { "kind": "foo", "capacity": { "fixed": 1 } } """, "dispatch.kind is 'foo'; expected one of dropless, dense, capacity." },
        { Capacity(""" "scope": "foo" """), "dispatch.capacity.scope is 'foo'; expected one of sequence, batch." },
        { Capacity(""" "drop": "foo" """), "dispatch.capacity.drop is 'foo'; expected one of position, probability." },
        { Capacity(""" "order": "foo" """), "dispatch.capacity.order is 'foo'; expected one of token_first, batch_first, choice_first, sequence_first, priority_first." },
        { Capacity(""" "rounding": "foo" """), "dispatch.capacity.rounding is 'foo'; expected one of ceil, int_of_ceil_mean_times_factor." },
        { """ "dispatch": { "ragged_buffer": { "shards": 2, "factor": 1, "order": "foo" } } """, "dispatch.ragged_buffer.order is 'foo'; expected 'source_shard, expert, token'." },
        { Loss(""" "scope": "foo" """), "load_balance.scope is 'foo'; expected one of sequence, batch, global." },
        { Loss(""" "scores": "foo" """), "load_balance.scores is 'foo'; expected one of softmax, router, router_normalized, softmax_of_router_score_plus_bias." },
        { Loss(""" "counts": "foo" """), "load_balance.counts is 'foo'; expected one of routed, kept, top_k_of_scores." },
        { Loss(""" "layers": "foo" """), "load_balance.layers is 'foo'; expected 'pooled'." },
        { """ "balance_bias": { "rate": 1, "rule": "foo" } """, "balance_bias.rule is 'foo'; expected one of sign, proportional." },
        { """ "mask_scope": "foo" """, "mask_scope is 'foo'; expected one of all, losses." },
        { """ "recompute": "foo" """, "recompute is 'foo'; expected one of none, activation, all." },

        { """ "router": { "p": 2 } """, "router.p is given, but router.renormalize is not p_norm; leave it out, or set renormalize to p_norm." },
        { """ "router": { "sparsemixer_jitter": 0.1 } """, "router.sparsemixer_jitter is given, but router.select is not sparsemixer; leave it out, or set select to sparsemixer." },
        { """ "router": { "sinkhorn": {} } """, "router.sinkhorn is given, but router.select is not sinkhorn; leave it out, or set select to sinkhorn." },
        { """ "router": { "quantile_balance": {} } """, "router.quantile_balance is given, but router.select is not quantile_balance; leave it out, or set select to quantile_balance." },
        { """ "router": { "token_table": {} } """, "router.token_table is given, but router.select is not token_table; leave it out, or set select to token_table." },
        { """ "router": { "group_limit": { "groups": 2, "keep": 1, "count": 2 } } """, "router.group_limit.count is given, but router.group_limit.by is not top_sum; leave it out, or set by to top_sum." },
        { """ "router": { "input_scale": true } """, "router.input_scale is true, but there is no input_norm for it to scale; give input_norm, or leave it out." },
        { """ "dispatch": { "capacity": { "fixed": 1 } } """, "dispatch.capacity is given, but dispatch.kind is not capacity; leave it out, or set kind to capacity." },
        { """ "dispatch": { "kind": "dense", "ragged_buffer": { "shards": 2, "factor": 1 } } """, "dispatch.ragged_buffer is given, but dispatch.kind is not dropless; leave it out, or set kind to dropless." },
        { Capacity(""" "fixed": 3 """), "dispatch.capacity.fixed is given beside factor; keep one of them." },
        { Capacity(""" "slots_per_expert": -1 """), "dispatch.capacity.slots_per_expert is -1; expected 0 or more." },
        { """ "dispatch": { "kind": "capacity", "capacity": { "fixed": 3, "slots_per_expert": 4 } } """, "dispatch.capacity.slots_per_expert is 4, but fixed is 3; leave one of them out." },
        { """ "dispatch": { "ragged_buffer": { "shards": 2, "factor": 1, "slots_per_shard": -1 } } """, "dispatch.ragged_buffer.slots_per_shard is -1; expected 0 or more." },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void Read_OneFault_NamesTheFieldByItsPath(string fields, string message)
    {
        string json = $$"""{ "hidden_size": 8, "expert_size": 6, "num_experts": 4, "top_k": 2, {{fields}} }""";

        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read(json, "layer.json"));

        Assert.Equal($"layer.json: {message}", error.Message);
    }

    [Fact]
    public void Read_SeveralFaults_ListsAllInTheOrderOfReading()
    {
        const string Json = """{ "hidden_size": 8.5, "num_experts": 4, "top_k": 2, "router": { "score": "foo", "x": 1 }, "shared": { "gated": 1 } }""";

        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read(Json, "layer.json"));

        Assert.Equal(
            """
            layer.json has 6 faults:
              - hidden_size is 8.5; expected a whole number of at most 32 bits.
              - expert_size is missing; expected a whole number.
              - router.score is 'foo'; expected one of softmax, sigmoid, sqrt_softplus, identity.
              - router.x is not a field of the format; expected one of score, logit_bias, correction_bias, per_expert_scale, input_scale, input_norm, input_jitter, logit_jitter, seed, group_limit, select, token_table, sparsemixer_jitter, sinkhorn, quantile_balance, weights, renormalize, p, epsilon, scale, apply.
              - shared.size is missing; expected a whole number.
              - shared.gated is 1; expected true or false.
            """.ReplaceLineEndings(),
            error.Message);
    }

    [Theory]
    [InlineData("[1]", "the layer is a list; expected an object.")]
    [InlineData("null", "the layer is null; expected an object.")]
    [InlineData("\"text\"", "the layer is 'text'; expected an object.")]
    public void Read_NoObject_SaysWhatItIs(string json, string message)
    {
        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read(json, "layer.json"));

        Assert.Equal($"layer.json: {message}", error.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{ \"top_k\": NaN }")]
    [InlineData("{ } { }")]
    public void Read_NoJson_IsAnErrorOfItsSource(string json)
    {
        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read(json, "layer.json"));

        Assert.StartsWith("layer.json: not valid JSON: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_HalfOfASurrogatePairInTheText_IsNoJson()
    {
        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read("{ \"\ud800\": 1 }", "layer.json"));

        Assert.StartsWith("layer.json: not valid JSON: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_ElementOfNoDocument_SaysSo()
    {
        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read(default(JsonElement), "layer.json"));

        Assert.Equal("layer.json: the layer is absent; expected an object.", error.Message);
    }

    [Fact]
    public void Read_LongValue_IsCut()
    {
        string json = $$"""{ "hidden_size": 8, "expert_size": 6, "num_experts": 4, "top_k": 2, "mask_scope": "{{new string('a', 1000)}}" }""";

        var error = Assert.Throws<MoeException>(() => MoeOptionsJson.Read(json, "layer.json"));

        Assert.Equal($"layer.json: mask_scope is '{new string('a', 59)}…; expected one of all, losses.", error.Message);
    }

    [Fact]
    public void Read_AnyFieldWithAnyValue_IsReadOrRefusedByItsPath()
    {
        string[] values = ["null", "true", "0", "-1", "2.5", "1e999", "99999999999", "\"x\"", "\"top_k\"", "[]", "[1]", "[{}]", "{}", "{\"x\":1}"];
        var refused = 0;

        foreach (var (path, template) in Variants())
        {
            foreach (string value in values)
            {
                if (Refusal(template.Replace(Hole, value, StringComparison.Ordinal)) is not { } message) continue;

                refused++;
                Assert.Contains(path, message, StringComparison.Ordinal);
            }
        }

        Assert.True(refused > 3000, $"only {refused} refused");
    }

    private const string Hole = "\"hole\"";

    /// <summary>The reference layers with each of their values in turn replaced by the hole, and where it is.</summary>
    private static IEnumerable<(string Path, string Json)> Variants()
    {
        var cases = JsonNode.Parse(File.ReadAllText(Fixtures.Path("options", "reference-layers.json")))!.AsArray();

        foreach (var layer in cases.Select(item => item!["layer"]!.AsObject()))
        {
            foreach (var (parent, name) in Fields(layer).ToList())
            {
                var kept = parent[name]!.DeepClone();
                parent[name] = "hole";
                yield return (name, layer.ToJsonString());
                parent[name] = kept;
            }
        }
    }

    private static IEnumerable<(JsonObject Parent, string Name)> Fields(JsonObject parent) =>
        parent.SelectMany(field => field.Value is JsonObject child ? Fields(child).Prepend((parent, field.Key)) : [(parent, field.Key)]);

    private static string? Refusal(string json)
    {
        using var document = JsonDocument.Parse(json);
        try
        {
            MoeOptionsJson.ReadRouterCase(document.RootElement, "it");
            return null;
        }
        catch (MoeException error)
        {
            return error.Message;
        }
    }

    private static string Capacity(string field) => $$""" "dispatch": { "kind": "capacity", "capacity": { "factor": 1, {{field}} } } """;

    private static string Loss(string field) => $$""" "load_balance": { "coefficient": 1, {{field}} } """;
}
