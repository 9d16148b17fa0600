namespace MoeSharp.Checkpoints;

internal static partial class ModelFamilies
{
    /// <summary>GPT-OSS: a softmax over the selected logits, biases everywhere, gate and up in alternating rows, a clamped activation of its own.</summary>
    internal static readonly ModelFamily GptOss = new()
    {
        ModelTypes = ["gpt_oss"],
        Describe = config =>
        {
            config.Require("swiglu_alpha", 1.702);
            var layer = config.Layer(config.Width("intermediate_size"));
            return config.Model(config.Every(layer with
            {
                Router = layer.Router with { HasLogitBias = true, Weights = WeightSource.SoftmaxOfSelected },
                Experts = layer.Experts with { Activation = ExpertActivation.GptOss, HasBias = true, Limit = config.Json.Number("swiglu_limit", 7, 0, isExclusive: true) },
            }));
        },
        Layouts =
        [
            new()
            {
                Router = "mlp.router",
                LogitBias = "mlp.router.bias",
                Experts = [Alternating("mlp.experts", isTransposed: true, isBlocks: false), Alternating("mlp.experts", isTransposed: false, isBlocks: true)],
            },
        ],
        Gguf = [new("gpt-oss", ("intermediate_size", "expert_feed_forward_length|feed_forward_length"))],
    };

    // both are square when D = H: the name alone tells whether inputs are rows
    private static StoredWeight[] Alternating(string experts, bool isTransposed, bool isBlocks) =>
    [
        new($"{experts}.gate_up_proj", WeightRole.Gate, WeightRole.Up)
        {
            Axis = ExpertAxis.Stacked,
            Order = RowOrder.Alternating,
            IsTransposed = isTransposed,
            IsBlocks = isBlocks,
            IsBare = true,
            Bias = $"{experts}.gate_up_proj_bias",
        },
        new($"{experts}.down_proj", WeightRole.Down)
        {
            Axis = ExpertAxis.Stacked,
            IsTransposed = isTransposed,
            IsBlocks = isBlocks,
            IsBare = true,
            Bias = $"{experts}.down_proj_bias",
        },
    ];
}
