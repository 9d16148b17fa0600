using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    private const string PowerKey = "moe_normalize_expert_weights";

    /// <summary>DBRX: softmax, divided by a norm of the selected weights; the rows of all experts follow each other in one matrix.</summary>
    internal static readonly ModelFamily Dbrx = new()
    {
        ModelTypes = ["dbrx"],
        Describe = outer =>
        {
            var config = outer.WithMoeIn("ffn_config");
            var activation = config.Moe.Object("ffn_act_fn") is { } function ? FamilyConfig.Activation(function, "name") : ExpertActivation.Silu;
            var layer = config.Layer(config.Width("ffn_hidden_size"), "");
            bool isNone = config.Moe.Find(PowerKey) is null && config.Moe.Keys.Contains(PowerKey);        // null for none; 1 where the key is absent
            double? power = isNone ? null : config.Moe.Number(PowerKey, 1, 0, isExclusive: true);
            var router = layer.Router with { Renormalize = power is null ? Renormalization.Never : Renormalization.PNorm, RenormalizePower = power ?? 1 };
            var model = config.Model(config.Every(layer with { Router = router, Experts = layer.Experts with { Activation = activation } }), NormKind.LayerNormWithoutBias);
            int keyValueHeads = outer.Json.Object("attn_config")?.OptionalInteger("kv_n_heads", 1, 1 << 16) ?? model.Attention.HeadCount;
            return model with { Norm = model.Norm with { Epsilon = 1e-5 }, Attention = model.Attention with { KeyValueHeadCount = keyValueHeads } };
        },
        Layouts =
        [
            new()
            {
                Prefixes = ["transformer.blocks.{l}.", "blocks.{l}."],
                Router = "ffn.router.layer",
                Experts =
                [
                    [
                        new("ffn.experts.mlp.w1", WeightRole.Gate) { Axis = ExpertAxis.Folded, IsBare = true },
                        new("ffn.experts.mlp.v1", WeightRole.Up) { Axis = ExpertAxis.Folded, IsBare = true },
                        new("ffn.experts.mlp.w2", WeightRole.Down) { Axis = ExpertAxis.Folded, IsBare = true, IsTransposed = true },
                    ],
                ],
            },
        ],
        Gguf =
        [
            new("dbrx", ("ffn_hidden_size", "feed_forward_length"), ("clip_qkv", "attention.clamp_kqv"))
            {
                Model = ("dbrx", "DbrxForCausalLM"),
                ExpertKeys = ("moe_num_experts", "moe_top_k"),
                Names = GgufNames.None("The names of its attention are not known."),
                Complete = NestDbrx,
            },
        ],
    };

    // as the config of the released files has them
    private static void NestDbrx(GgufFile file, JsonObject json)
    {
        json["ffn_config"] = Taken(json, ("ffn_hidden_size", "ffn_hidden_size"), ("moe_num_experts", "moe_num_experts"), ("moe_top_k", "moe_top_k"));
        json["attn_config"] = Taken(json, ("num_key_value_heads", "kv_n_heads"), ("rope_theta", "rope_theta"), ("clip_qkv", "clip_qkv"));
    }

    private static JsonObject Taken(JsonObject json, params (string Key, string Name)[] keys)
    {
        var taken = new JsonObject();
        foreach (var (key, name) in keys)
        {
            if (json[key] is not { } value) continue;
            json.Remove(key);
            taken[name] = value;
        }

        return taken;
    }
}
