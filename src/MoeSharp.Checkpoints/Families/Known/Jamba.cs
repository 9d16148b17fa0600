using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Jamba: softmax, never renormalised, in every second layer.</summary>
    internal static readonly ModelFamily Jamba = new()
    {
        ModelTypes = ["jamba"],
        Describe = config =>
        {
            int width = config.Width("intermediate_size"), period = config.Json.Integer("expert_layer_period", 2, 1, int.MaxValue);
            int offset = config.Json.Integer("expert_layer_offset", 1, 0, int.MaxValue);
            if (config.Json.Find("num_experts") is not null && config.Json.Integer("num_experts", 0, 0, int.MaxValue) == 1) return config.Model(config.None(width));      // a dense layer

            return config.Model(config.Where(index => index % period == offset, config.Layer(width), width));
        },
        Layouts =
        [
            new() { Router = "feed_forward.router", Experts = [Stored.PerExpert("feed_forward.experts"), Stored.Fused("feed_forward.experts")] },
        ],
        Gguf =
        [
            new("jamba", ("intermediate_size", "feed_forward_length"))
            {
                Model = ("jamba", "JambaForCausalLM"),
                Names = GgufNames.None("Its files hold other numbers than transformers for layers of a state space."),
                Complete = ExpertPeriod,
            },
        ],
    };

    // the metadata do not say which layers have experts: their tensors do
    private static void ExpertPeriod(GgufFile file, JsonObject json)
    {
        int layers = (int)Math.Clamp(GgufConfig.WholeIn(json, "num_hidden_layers") ?? 0, 0, FamilyConfig.MaximumLayers);
        int[] sparse = [.. Enumerable.Range(0, layers).Where(layer => file.Tensors.ContainsKey($"blk.{layer}.ffn_gate_inp.weight")).Take(2)];
        if (sparse.Length == 0) return;

        int period = sparse.Length > 1 ? sparse[1] - sparse[0] : layers;
        (json["expert_layer_period"], json["expert_layer_offset"]) = (period, sparse[0] % period);
    }
}
