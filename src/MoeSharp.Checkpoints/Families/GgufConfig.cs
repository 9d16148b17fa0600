using System.Text.Json;
using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

/// <summary>The metadata of a GGUF file as the <c>config.json</c> that the family's own files have.</summary>
internal static class GgufConfig
{
    // what all architectures call alike; families add theirs
    private static readonly (string Key, string Metadata)[] Common =
    [
        ("hidden_size", "embedding_length"), ("num_attention_heads", "attention.head_count"), ("num_key_value_heads", "attention.head_count_kv"), ("head_dim", "attention.key_length"),
        ("rms_norm_eps", "attention.layer_norm_rms_epsilon|attention.layer_norm_epsilon"), ("num_experts", "expert_count"), ("num_experts_per_tok", "expert_used_count"), ("vocab_size", "vocab_size"),
    ];

    /// <summary>The model and its family.</summary>
    /// <exception cref="CheckpointException">The architecture is not known, or the metadata are no config of it; one message lists all faults.</exception>
    public static (ModelDescription Model, ModelFamily Family) Read(GgufFile file, out IReadOnlyList<string> warnings)
    {
        var (family, gguf) = FamilyOf(file);
        using var json = JsonDocument.Parse(ToJson(file, family, gguf).ToJsonString());
        var model = ConfigReader.Read(file.Path, json.RootElement, "metadata", reader => family.Describe(new FamilyConfig(reader)) with { Family = family.Name }, out warnings);
        ModelConfig.Validate(file.Path, model);
        return (model, family);
    }

    private static (ModelFamily Family, GgufFamily Gguf) FamilyOf(GgufFile file)
    {
        var all = ModelFamilies.All.SelectMany(family => family.Gguf, (family, gguf) => (Family: family, Gguf: gguf)).ToArray();
        foreach (var each in all)
        {
            if (each.Gguf.Architecture == file.Architecture && each.Gguf.Applies(file)) return each;
        }

        string known = string.Join(", ", all.Select(each => each.Gguf.Architecture).Distinct().Order(StringComparer.Ordinal));
        throw new CheckpointException(file.Path, $"general.architecture is {TensorName.Quote(file.Architecture)}, which is no Mixture of Experts that is known; expected one of {known}.");
    }

    private static JsonObject ToJson(GgufFile file, ModelFamily family, GgufFamily gguf)
    {
        var json = new JsonObject { ["model_type"] = family.ModelTypes[^1] };       // where there are several, the last is the language model alone
        foreach (var (key, metadata) in Common.Concat(gguf.Keys))
        {
            if (Find(file, gguf, metadata) is { } value) json[key] = value;
        }

        json["num_hidden_layers"] = (Integer(file, gguf, "block_count") ?? 0) - (Integer(file, gguf, "nextn_predict_layers") ?? 0);
        if (json["vocab_size"] is null && file.Tensors.TryGetValue("token_embd.weight", out var embedding)) json["vocab_size"] = embedding.Shape[0];
        json["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight");
        foreach (var (key, value) in JsonNode.Parse(gguf.Defaults)!.AsObject()) json[key] ??= value?.DeepClone();
        foreach (var (key, value) in JsonNode.Parse(gguf.Constants)!.AsObject()) json[key] = value?.DeepClone();
        return json;
    }

    private static long? Integer(GgufFile file, GgufFamily gguf, string key) => file.Metadata.TryGetValue($"{gguf.Architecture}.{key}", out var value) ? value.GetInteger() : null;

    private static JsonNode? Find(GgufFile file, GgufFamily gguf, string names)
    {
        foreach (string name in names.Split('|'))
        {
            if (file.Metadata.TryGetValue($"{gguf.Architecture}.{name}", out var value) && Node(value) is { } node) return node;
        }

        return null;
    }

    // of lists by layer the largest: sizes of layers without attention are 0 in them
    private static JsonNode? Node(GgufValue value)
    {
        if (value.ElementType is not null) return value.Items.Select(Node).OfType<JsonNode>().MaxBy(node => node.GetValueKind() == JsonValueKind.Number ? node.GetValue<double>() : 0)?.DeepClone();
        if (value.TryGetInteger(out long integer)) return JsonValue.Create(integer);
        if (value.TryGetFlag(out bool flag)) return JsonValue.Create(flag);
        if (value.TryGetNumber(out double number)) return JsonValue.Create(number);
        return value.TryGetText(out string? text) ? JsonValue.Create(text) : null;
    }
}
