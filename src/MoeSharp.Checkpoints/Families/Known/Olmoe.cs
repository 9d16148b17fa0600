namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>OLMoE: softmax, not renormalised as shipped.</summary>
    internal static readonly ModelFamily Olmoe = new()
    {
        ModelTypes = ["olmoe"],
        Describe = DescribeOlmo,
        Layouts = [OlmoLayout],
        Gguf = [new("olmoe", ("intermediate_size", "feed_forward_length")) { Model = ("olmoe", "OlmoeForCausalLM"), Constants = """{"norm_topk_prob": false}""" }],
    };

    private static LayerLayout OlmoLayout => new() { Router = "mlp.gate", Experts = [Stored.PerExpert("mlp.experts"), Stored.Fused("mlp.experts")] };

    private static ModelDescription DescribeOlmo(FamilyConfig config)
    {
        var layer = config.Layer(config.Width("intermediate_size"));
        return config.Model(config.Every(layer with { Router = layer.Router with { Renormalize = config.Renormalize() } }));
    }
}
