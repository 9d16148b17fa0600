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
            var layer = config.Layer(width);
            bool hasExperts = layer.Router.ExpertCount > 1;     // one expert is a dense layer
            return config.Model(config.Where(index => hasExperts && index % period == offset, layer, width));
        },
        Layouts =
        [
            new() { Router = "feed_forward.router", Experts = [Stored.PerExpert("feed_forward.experts"), Stored.Fused("feed_forward.experts")] },
        ],
    };
}
