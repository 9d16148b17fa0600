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
    };
}
