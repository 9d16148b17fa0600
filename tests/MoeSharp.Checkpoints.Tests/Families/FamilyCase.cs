using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>A tiny model of a family: its config in the keys of released files, and what its last layer computes.</summary>
/// <param name="Family">The family.</param>
/// <param name="Config">The keys besides the sizes that all have.</param>
/// <param name="Options">The layer's options as JSON, besides the sizes.</param>
/// <param name="MoeLayers">The layers that are a Mixture of Experts, of four.</param>
public sealed record FamilyCase(string Family, string Config, string Options, params int[] MoeLayers)
{
    public const int HiddenSize = 8, Vocabulary = 12, LayerCount = 4, Width = 4, Experts = 6, TopK = 2;

    /// <summary>The whole config.</summary>
    public string Json => With(Sizes, Config).ToJsonString();

    private string Sizes => Family == "dbrx"
        ? $$"""{"model_type": "dbrx", "d_model": {{HiddenSize}}, "n_layers": {{LayerCount}}, "n_heads": 2, "vocab_size": {{Vocabulary}}}"""
        : $$"""{"model_type": "{{Family}}", "hidden_size": {{HiddenSize}}, "num_hidden_layers": {{LayerCount}}, "num_attention_heads": 2, "vocab_size": {{Vocabulary}}, "num_experts_per_tok": {{TopK}}}""";

    /// <summary>The options in full.</summary>
    public string FullOptions => With($$"""{"hidden_size": {{HiddenSize}}, "expert_size": {{Width}}, "num_experts": {{Experts}}, "top_k": {{TopK}}, "mask_scope": "losses"}""", Options).ToJsonString();

    public override string ToString() => Family;

    private static JsonObject With(string json, string more)
    {
        var all = JsonNode.Parse(json)!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(more)!.AsObject()) all[key] = value?.DeepClone();
        return all;
    }
}
