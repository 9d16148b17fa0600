using System.Globalization;
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
        ("rms_norm_eps", "attention.layer_norm_rms_epsilon|attention.layer_norm_epsilon"), ("vocab_size", "vocab_size"), ("max_position_embeddings", "context_length"),
        ("rope_theta", "rope.freq_base"), ("sliding_window", "attention.sliding_window"),
    ];

    private static readonly (string Key, string Metadata)[] TokenIds =
        [("bos_token_id", "tokenizer.ggml.bos_token_id"), ("eos_token_id", "tokenizer.ggml.eos_token_id"), ("pad_token_id", "tokenizer.ggml.padding_token_id")];

    /// <summary>The model, its family, what becomes of its names, and the config that says so.</summary>
    /// <exception cref="CheckpointException">The architecture is not known, or the metadata are no config of it; one message lists all faults.</exception>
    public static (ModelDescription Model, ModelFamily Family, TensorNames Names, JsonObject Config) Read(GgufFile file, out IReadOnlyList<string> warnings)
    {
        var (family, gguf) = FamilyOf(file);
        var config = ToJson(file, family, gguf);
        using var json = JsonDocument.Parse(config.ToJsonString());
        var model = ConfigReader.Read(file.Path, json.RootElement, "metadata", reader => family.Describe(new FamilyConfig(reader)) with { Family = family.Name }, out warnings);
        ModelConfig.Validate(file.Path, model);
        return (model, family, gguf.Names, config);
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
        var json = new JsonObject();
        if (gguf.Model is { } known) json["architectures"] = new JsonArray(known.Class);
        json["model_type"] = gguf.Model?.Type ?? family.Name;
        foreach (var (key, metadata) in Common.Concat([(gguf.ExpertKeys.Count, "expert_count"), (gguf.ExpertKeys.TopK, "expert_used_count"), .. gguf.Keys]))
        {
            if (Find(file, metadata, $"{gguf.Architecture}.") is { } value) json[key] = value;
        }

        foreach (var (key, metadata) in TokenIds)
        {
            if (Find(file, metadata, "") is { } value) json[key] = value;
        }

        json["num_hidden_layers"] = (Integer(file, gguf, "block_count") ?? 0) - (Integer(file, gguf, "nextn_predict_layers") ?? 0);
        if (json["vocab_size"] is null && file.Tensors.TryGetValue("token_embd.weight", out var embedding)) json["vocab_size"] = embedding.Shape[0];
        json["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight");
        json["attention_bias"] = file.Tensors.ContainsKey("blk.0.attn_q.bias");
        if (WholeIn(json, "sliding_window") == 0) json.Remove("sliding_window");      // 0 for none
        if (WholeIn(json, "hidden_size") is { } size && WholeIn(json, "num_attention_heads") is > 0 and { } heads && size % heads == 0) json["head_dim"] ??= size / heads;
        AddRopeScaling(file, gguf, json);
        foreach (var (key, value) in JsonNode.Parse(gguf.Defaults)!.AsObject()) json[key] ??= value?.DeepClone();
        foreach (var (key, value) in JsonNode.Parse(gguf.Constants)!.AsObject()) json[key] = value?.DeepClone();
        gguf.Complete(file, json);
        return json;
    }

    private static void AddRopeScaling(GgufFile file, GgufFamily gguf, JsonObject json)
    {
        string prefix = $"{gguf.Architecture}.rope.scaling.";
        if (Find(file, "type", prefix) is not JsonValue type || !type.TryGetValue(out string? name) || name is not ("linear" or "yarn") || Find(file, "factor", prefix) is not { } factor) return;

        var scaling = new JsonObject { ["type"] = name, ["rope_type"] = name, ["factor"] = factor };
        foreach (var (key, metadata) in ((string, string)[])[("original_max_position_embeddings", "original_context_length"), ("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")])
        {
            if (Find(file, metadata, prefix) is { } value) scaling[key] = value;
        }

        json["rope_scaling"] = scaling;
    }

    /// <summary>A whole number of a config; null where there is none.</summary>
    public static long? WholeIn(JsonObject json, string key) => json[key] is JsonValue value && value.TryGetValue(out long number) ? number : null;

    private static long? Integer(GgufFile file, GgufFamily gguf, string key) => file.Metadata.TryGetValue($"{gguf.Architecture}.{key}", out var value) ? value.GetInteger() : null;

    private static JsonNode? Find(GgufFile file, string names, string prefix)
    {
        foreach (string name in names.Split('|'))
        {
            if (file.Metadata.TryGetValue(prefix + name, out var value) && Node(value) is { } node) return node;
        }

        return null;
    }

    // of lists by layer the largest: sizes of layers without attention are 0 in them
    private static JsonNode? Node(GgufValue value)
    {
        if (value.ElementType is not null) return value.Items.Select(Node).OfType<JsonNode>().MaxBy(Magnitude)?.DeepClone();
        if (value.TryGetInteger(out long integer)) return JsonValue.Create(integer);
        if (value.TryGetFlag(out bool flag)) return JsonValue.Create(flag);
        if (value.TryGetNumber(out double number)) return Number(value.Type == GgufValueType.F32 ? ((float)number).ToString("R", CultureInfo.InvariantCulture) : number.ToString("R", CultureInfo.InvariantCulture));
        return value.TryGetText(out string? text) ? JsonValue.Create(text) : null;
    }

    private static double Magnitude(JsonNode node) => node.GetValueKind() == JsonValueKind.Number ? double.Parse(node.ToJsonString(), CultureInfo.InvariantCulture) : 0;

    // the shortest decimal, as it was before it was stored, and with a point: readers of other languages tell 1.0 from 1; what is no number in JSON stays a text, which no config has there
    private static JsonNode Number(string digits)
    {
        if (!double.IsFinite(double.Parse(digits, CultureInfo.InvariantCulture))) return JsonValue.Create(digits);
        return JsonNode.Parse(digits.AsSpan().ContainsAny('.', 'E') ? digits : $"{digits}.0")!;
    }
}
