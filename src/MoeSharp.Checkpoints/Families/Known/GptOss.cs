using System.Text.Json.Nodes;

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
                Experts = [Alternating("mlp.experts.gate_up_proj", "mlp.experts.down_proj"), Alternating("mlp.experts.gate_up_proj", "mlp.experts.down_proj", QuantizedNames.Blocks)],
            },
            new()       // OpenAI's own files
            {
                Prefixes = ["block.{l}."],
                Router = "mlp.gate",
                LogitBias = "mlp.gate.bias",
                Experts = [Alternating("mlp.mlp1_weight", "mlp.mlp2_weight", QuantizedNames.DottedBlocks)],
                Beside = ["mlp.norm.scale"],
            },
        ],
        Gguf = [
            new("gpt-oss", ("intermediate_size", "expert_feed_forward_length|feed_forward_length"))
            {
                Model = ("gpt_oss", "GptOssForCausalLM"),
                ExpertKeys = ("num_local_experts", "num_experts_per_tok"),
                Names = GgufNames.PostAttention.With(new TensorRule("attn_sinks.weight", "self_attn.sinks")),
                Complete = (_, json) => (json["rope_scaling"] as JsonObject)?.Add("truncate", false),
            },
        ],
        Native = ("block.{l}.", OpenAiNames),
    };

    private static TensorNames OpenAiNames => new()
    {
        Model = [.. TensorRule.Plain(("embedding", "model.embed_tokens"), ("unembedding", "lm_head"), ("norm.scale", "model.norm.weight"))],
        Layer =
        [
            new("attn.qkv", "self_attn.q_proj") { Change = TensorChanges.QueriesOfAll },
            new("attn.qkv", "self_attn.k_proj") { Change = TensorChanges.KeysOfAll },
            new("attn.qkv", "self_attn.v_proj") { Change = TensorChanges.ValuesOfAll },
            .. TensorRule.Plain(("attn.out", "self_attn.o_proj"), ("attn.sinks", "self_attn.sinks"), ("attn.norm.scale", "input_layernorm.weight"), ("mlp.norm.scale", "post_attention_layernorm.weight")),
        ],
    };

    // both are square when D = H: the name alone tells whether inputs are rows, as they are in numbers and not in blocks
    private static StoredWeight[] Alternating(string gateUp, string down, string? blocks = null) =>
    [
        new(gateUp, WeightRole.Gate, WeightRole.Up)
        {
            Axis = ExpertAxis.Stacked,
            Order = RowOrder.Alternating,
            IsTransposed = blocks is null,
            Blocks = blocks,
            IsBare = true,
            Bias = BiasOf(gateUp),
        },
        new(down, WeightRole.Down)
        {
            Axis = ExpertAxis.Stacked,
            IsTransposed = blocks is null,
            Blocks = blocks,
            IsBare = true,
            Bias = BiasOf(down),
        },
    ];

    private static string BiasOf(string weight) => weight.EndsWith("_weight", StringComparison.Ordinal) ? $"{weight[..^"_weight".Length]}_bias" : $"{weight}_bias";
}
