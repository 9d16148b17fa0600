namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>The language model of Qwen3-VL: the layers of Qwen3-MoE, always renormalised.</summary>
    internal static readonly ModelFamily Qwen3VlMoe = new()
    {
        ModelTypes = ["qwen3_vl_moe", "qwen3_vl_moe_text"],
        Describe = config =>
        {
            config.Require("norm_topk_prob", true);
            var layer = config.Layer(config.Width("moe_intermediate_size"));
            return config.Model(config.ByStep(layer with { Router = layer.Router with { Renormalize = Renormalization.Always } }));
        },
        Layouts =
        [
            new()
            {
                Router = "mlp.gate",
                Experts =
                [
                    Stored.FusedTransposed("mlp.experts"),      // as published
                    Stored.PerExpert("mlp.experts"),            // as tools that quantize write them
                    Stored.Fused("mlp.experts"),                // as transformers 5 saves what it has not read; the same names
                ],
            },
        ],
    };
}
