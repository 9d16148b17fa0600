namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>Hunyuan 3: sigmoid, a bias that only selects, renormalised; shared experts.</summary>
    internal static readonly ModelFamily HyV3 = new()
    {
        ModelTypes = ["hy_v3"],
        Describe = config =>
        {
            const string Scale = "router_scaling_factor";

            config.Require("moe_router_use_sigmoid", true);
            config.Require("moe_router_enable_expert_bias", true);
            config.Require("route_norm", true);
            config.Require("mlp_bias", false);
            config.Json.Fault(config.Json.Find(Scale) is null, $"{Scale} is absent; expected the factor of the weights.");
            int width = config.Width("moe_intermediate_size", "expert_hidden_dim");
            var layer = config.Layer(width);
            var moe = layer with
            {
                Router = BiasedSigmoid(layer.Router with { Scale = config.Scale(Scale) }, Renormalization.Always),
                Shared = config.Shared("num_shared_experts", width),
            };
            return config.Model(config.AfterFirst(moe, absent: 1));
        },
        Layouts =
        [
            new()
            {
                Router = "mlp.router.gate",
                CorrectionBias = "mlp.expert_bias",
                Experts = [Stored.PerExpert("mlp.experts")],
                Shared = [Stored.Single("mlp.shared_mlp")],
            },
            DeepseekLayout with { CorrectionBias = "mlp.e_score_correction_bias" },
        ],
    };
}
