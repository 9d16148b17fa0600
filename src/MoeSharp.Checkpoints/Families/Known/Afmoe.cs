namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Trinity (AFMoE): sigmoid, a bias that only selects, renormalised; shared experts.</summary>
    internal static readonly ModelFamily Afmoe = new()
    {
        ModelTypes = ["afmoe"],
        Describe = config =>
        {
            config.Require("score_func", "sigmoid");
            config.Require("route_norm", true);
            config.Require("n_group", 1);
            config.Require("num_expert_groups", 1);
            int width = config.Width("moe_intermediate_size");
            var layer = config.Layer(width);
            var moe = layer with
            {
                Router = BiasedSigmoid(layer.Router with { Scale = config.Scale("route_scale") }, Renormalization.Always),
                Shared = config.Shared("num_shared_experts", width),
            };
            return config.Model(config.AfterFirst(moe, "num_dense_layers", absent: 1));
        },
        Layouts =
        [
            DeepseekLayout with { Router = "mlp.router.gate", CorrectionBias = "mlp.expert_bias" },
        ],
    };
}
