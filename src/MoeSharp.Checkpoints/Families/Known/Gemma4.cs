namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Gemma 4: the router normalises the residual stream by itself and scales the weights by expert; a dense MLP runs beside, which is not part of the layer.</summary>
    internal static readonly ModelFamily Gemma4 = new()
    {
        ModelTypes = ["gemma4", "gemma4_text"],
        Describe = config =>
        {
            if (!config.Json.Flag("enable_moe_block", false)) return config.Model(config.None(SparseLayers.DenseWidth(config)));

            var layer = config.Layer(config.Width("moe_intermediate_size"), "hidden_activation");
            var model = config.Model([]);
            var router = layer.Router with
            {
                InputNorm = new RouterInputNorm(model.Norm.Epsilon, HasScale: true),
                Renormalize = Renormalization.Always,
                HasPerExpertScale = true,
            };
            return model with { Layers = config.Every(layer with { Router = router }) };
        },
        Layouts =
        [
            new()
            {
                Router = "router.proj",
                InputScale = "router.scale",
                PerExpertScale = "router.per_expert_scale",
                Experts = [Stored.Fused("experts"), Stored.PerExpert("experts")],
            },
        ],
        Gguf = [new("gemma4", ("moe_intermediate_size", "expert_feed_forward_length"), ("intermediate_size", "feed_forward_length")) { Model = ("gemma4_text", "Gemma4ForCausalLM"), ExpertKeys = ("num_experts", "top_k_experts"), Names = GgufNames.None("What the two kinds of its attention are is not all in the files."), Constants = """{"enable_moe_block": true, "hidden_activation": "gelu_pytorch_tanh"}""" }],
    };
}
