namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Hunyuan-A13B: softmax, renormalised; a shared expert of the routed ones' width. The number of experts per token may differ between layers.</summary>
    internal static readonly ModelFamily HunyuanV1Moe = new()
    {
        ModelTypes = ["hunyuan_v1_moe"],
        Describe = config =>
        {
            config.Require("moe_layer_num_skipped", 0);
            config.Require("use_mixed_mlp_moe", true);
            int width = config.Width("intermediate_size");
            var layer = config.Json.Find("moe_topk") is { ValueKind: System.Text.Json.JsonValueKind.Array } ? config.Layer(width, topK: 1) : config.Layer(width);
            var moe = layer with { Router = layer.Router with { Renormalize = Renormalization.Always }, Shared = new() { IntermediateSize = width } };
            return config.Model(TopKOfEach(config, moe));
        },
        Layouts =
        [
            new()
            {
                Router = "mlp.gate.wg",
                Experts = [Stored.PerExpert("mlp.experts"), Stored.Fused("mlp.experts")],
                Shared = [Stored.Single("mlp.shared_mlp")],
            },
        ],
        Gguf = [
            new("hunyuan-moe", ("intermediate_size", "expert_feed_forward_length|feed_forward_length"))
            {
                Model = ("hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM"),
                ExpertKeys = ("num_experts", "moe_topk"),
                Names = GgufNames.Common.With([.. TensorRule.Plain(("attn_q_norm", "self_attn.query_layernorm"), ("attn_k_norm", "self_attn.key_layernorm"))]),
            },
        ],
    };

    private static MlpOptions[] TopKOfEach(FamilyConfig config, MoeOptions layer)
    {
        if (config.Json.Find("moe_topk") is not { ValueKind: System.Text.Json.JsonValueKind.Array }) return config.Every(layer);

        var counts = config.Json.Integers("moe_topk");
        int experts = layer.Router.ExpertCount;
        config.Json.Fault(counts.Count != config.LayerCount || counts.Any(count => count < 1 || count > experts), $"moe_topk is [{string.Join(", ", counts)}]; expected {config.LayerCount} numbers from 1 to {experts}, one for each layer.");
        return [.. Enumerable.Range(0, config.LayerCount).Select(index => new MlpOptions.Sparse(layer with { Router = layer.Router with { TopK = counts.ElementAtOrDefault(index) is > 0 and { } count ? Math.Min(count, experts) : 1 } }))];
    }
}
