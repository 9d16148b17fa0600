using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>One tensor of a Qwen3-MoE checkpoint under its published name: a parameter of the model, or one expert's slice of it.</summary>
/// <param name="Name">The name in <c>model.safetensors</c>.</param>
/// <param name="Parameter">The model's tensor that holds it: a parameter, or a buffer of its router.</param>
/// <param name="Expert">The slice of the first dimension; null for all of it.</param>
internal sealed record PublishedWeight(string Name, Tensor Parameter, int? Expert)
{
    /// <summary>Where it is in files that stack experts; null for what is no expert's.</summary>
    public ExpertStack? Stack { get; init; }

    /// <summary>The part of <paramref name="stacked"/> (the parameter, its gradient or a moment) that has this name: a view.</summary>
    public Tensor Of(Tensor stacked) => Expert is { } expert ? stacked.select(0, expert) : stacked;
}

/// <summary>A tensor that stacks a weight of all experts, or two weights one above the other.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Part">Which of the weights it is.</param>
/// <param name="Parts">Their number.</param>
internal sealed record ExpertStack(string Name, int Part, int Parts);

/// <summary>The published names of all weights of a model, the one place that knows them.</summary>
internal static class PublishedWeights
{
    /// <summary>Every weight of <paramref name="model"/> once, in the order of the forward pass.</summary>
    public static IEnumerable<PublishedWeight> Of(DecoderModel model)
    {
        yield return new("model.embed_tokens.weight", model.Embedding, null);
        foreach (var (index, layer) in model.Layers.Index())
        {
            string prefix = $"model.layers.{index}.";
            foreach (var weight in OfLayer(layer)) yield return weight with { Name = prefix + weight.Name, Stack = weight.Stack is { } stack ? stack with { Name = prefix + stack.Name } : null };
        }

        yield return new("model.norm.weight", model.FinalNorm.Weight, null);
        if (model.Head is { } head) yield return new("lm_head.weight", head, null);
    }

    private static IEnumerable<PublishedWeight> OfLayer(DecoderLayer layer) =>
    [
        new("input_layernorm.weight", layer.AttentionNorm.Weight, null),
        .. OfProjection("self_attn.q_proj", layer.Attention.Query),
        .. OfProjection("self_attn.k_proj", layer.Attention.Key),
        .. OfProjection("self_attn.v_proj", layer.Attention.Value),
        .. OfProjection("self_attn.o_proj", layer.Attention.Output),
        new("self_attn.q_norm.weight", layer.Attention.QueryNorm.Weight, null),
        new("self_attn.k_norm.weight", layer.Attention.KeyNorm.Weight, null),
        new("post_attention_layernorm.weight", layer.MlpNorm.Weight, null),
        .. layer.Dense is { } dense ? OfDense(dense) : OfMoe(layer.Moe!),      // a layer that is not dense has experts
    ];

    private static IEnumerable<PublishedWeight> OfProjection(string name, Projection projection)
    {
        yield return new($"{name}.weight", projection.Weight, null);
        if (projection.Bias is { } bias) yield return new($"{name}.bias", bias, null);
    }

    private static IEnumerable<PublishedWeight> OfDense(DenseMlp mlp) =>
    [
        new("mlp.gate_proj.weight", mlp.Gate.Weight, null),
        new("mlp.up_proj.weight", mlp.Up.Weight, null),
        new("mlp.down_proj.weight", mlp.Down.Weight, null),
    ];

    private static IEnumerable<PublishedWeight> OfMoe(RoutedMoE moe)
    {
        yield return new("mlp.gate.weight", moe.Gate.Weight, null);
        if (moe.CorrectionBias is { } bias) yield return new("mlp.gate.e_score_correction_bias", bias, null);
        if (moe.QuantileBias is { } quantiles) yield return new("mlp.gate.quantile_bias", quantiles, null);
        if (moe.TokenTable is { } table) yield return new("mlp.gate.tid2eid", table, null);
        for (int expert = 0; expert < moe.Options.Router.ExpertCount; expert++)
        {
            yield return new($"mlp.experts.{expert}.gate_proj.weight", moe.Experts.Gate, expert) { Stack = new("mlp.experts.gate_up_proj", 0, 2) };
            yield return new($"mlp.experts.{expert}.up_proj.weight", moe.Experts.Up, expert) { Stack = new("mlp.experts.gate_up_proj", 1, 2) };
            yield return new($"mlp.experts.{expert}.down_proj.weight", moe.Experts.Down, expert) { Stack = new("mlp.experts.down_proj", 0, 1) };
        }
    }
}
