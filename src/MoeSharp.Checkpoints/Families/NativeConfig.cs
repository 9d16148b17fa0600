using System.Text.Json;
using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

/// <summary>The <c>params.json</c> of Mistral's and Meta's own files in the keys of a <c>config.json</c>.</summary>
internal static class NativeConfig
{
    private const long MaximumLength = 16 << 20;

    private static readonly (string Published, string Native)[] Names =
    [
        ("hidden_size", "dim"), ("num_hidden_layers", "n_layers"), ("num_attention_heads", "n_heads"), ("num_key_value_heads", "n_kv_heads"), ("head_dim", "head_dim"),
        ("vocab_size", "vocab_size"), ("rms_norm_eps", "norm_eps"), ("rope_theta", "rope_theta"), ("max_position_embeddings", "max_seq_len"), ("quantization_config", "quantization_config"),
    ];

    private static readonly string[] OpenAiKeys = ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "intermediate_size", "swiglu_limit", "sliding_window", "rope_theta"];

    /// <summary>What a folder's config is in the usual keys where it is in the maker's own; null for one that is in the usual keys.</summary>
    public static JsonObject? FindPublished(string file)
    {
        if (Path.GetFileName(file) == ModelConfig.NativeFileName) return JsonObject.Create(ToPublished(file));

        using var document = JsonFile.Parse(file, MaximumLength);
        var json = document.RootElement;
        return json.TryGetProperty("model_type", out _) || !json.TryGetProperty("experts_per_token", out _) ? null : OpenAi(json);
    }

    /// <summary>The config; of a file that is none of these, what it says.</summary>
    public static JsonElement ToPublished(string file)
    {
        using var document = JsonFile.Parse(file, MaximumLength);
        var native = document.RootElement;
        if (native.ValueKind != JsonValueKind.Object) return native.Clone();
        if (native.TryGetProperty("moe", out var moe) && moe.ValueKind == JsonValueKind.Object) return Mistral(file, native, moe);
        if (native.TryGetProperty("moe_args", out var arguments) && arguments.ValueKind == JsonValueKind.Object) return Meta(native, arguments);

        // the oldest of Mistral's have the keys of config.json already
        var json = Copy(native);
        if (!native.TryGetProperty("model_type", out _) && native.TryGetProperty("num_local_experts", out _))
        {
            json["model_type"] = "mixtral";
            json["architectures"] = new JsonArray("MixtralForCausalLM");
        }

        return Element(json);
    }

    // the keys of OpenAI's loader; what it leaves out are its constants
    private static JsonObject OpenAi(JsonElement native)
    {
        var json = new JsonObject { ["architectures"] = new JsonArray("GptOssForCausalLM"), ["model_type"] = "gpt_oss" };
        foreach (string key in OpenAiKeys) Set(json, key, native, key);
        Set(json, "num_local_experts", native, "num_experts");
        Set(json, "num_experts_per_tok", native, "experts_per_token");
        json["attention_bias"] = true;
        json["rms_norm_eps"] = 1e-5;
        json["tie_word_embeddings"] = false;
        double factor = Number(native, "rope_scaling_factor", 32), length = Number(native, "initial_context_length", 4096);
        json["max_position_embeddings"] = (long)(factor * length);
        json["rope_scaling"] = new JsonObject
        {
            ["rope_type"] = "yarn",
            ["factor"] = factor,
            ["beta_fast"] = Number(native, "rope_ntk_beta", 32),
            ["beta_slow"] = Number(native, "rope_ntk_alpha", 1),
            ["original_max_position_embeddings"] = (long)length,
            ["truncate"] = false,
        };
        json["quantization_config"] = new JsonObject { ["quant_method"] = "mxfp4", ["modules_to_not_convert"] = new JsonArray("model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head") };
        return json;
    }

    private static JsonElement Mistral(string file, JsonElement native, JsonElement moe)
    {
        string[] unknown = [.. moe.EnumerateObject().Select(key => key.Name).Except(["num_experts", "num_experts_per_tok"])];
        if (unknown.Length > 0) throw new CheckpointException(file, $"moe has {string.Join(", ", unknown.Select(TensorName.Quote))}, which is not supported; expected num_experts and num_experts_per_tok alone.");

        var json = Renamed(native, "mixtral", "MixtralForCausalLM");
        Set(json, "intermediate_size", native, "hidden_dim");
        Set(json, "num_local_experts", moe, "num_experts");
        Set(json, "num_experts_per_tok", moe, "num_experts_per_tok");
        return Element(json);
    }

    private static JsonElement Meta(JsonElement native, JsonElement moe)
    {
        var json = Renamed(native, "llama4_text", "Llama4ForCausalLM");
        Set(json, "num_local_experts", moe, "num_experts");
        json["num_experts_per_tok"] = 1;
        Set(json, "num_experts_per_tok", moe, "top_k");
        Set(json, "interleave_moe_layer_step", moe, "interleave_moe_layer_step");
        json["intermediate_size"] = Width(native, moe);
        return Element(json);
    }

    /// <summary>The width of experts, which such a file has as factors: two thirds of a multiple of the hidden size, halved for a routed and a shared expert, rounded up.</summary>
    private static int Width(JsonElement native, JsonElement moe)
    {
        double width = Math.Floor(Number(native, "ffn_exp", 4) * Number(native, "dim", 0));
        width = Math.Floor(2 * width / 3);
        width = Math.Floor(Number(native, "ffn_dim_multiplier", 1) * width);
        bool isScaled = !moe.TryGetProperty("auto_scale_F", out var scaled) || scaled.ValueKind != JsonValueKind.False;
        if (isScaled) width = Math.Floor(width / (Number(moe, "capacity_factor", 1) + 1));
        double multiple = Math.Max(Number(native, "multiple_of", 256), 1);
        return (int)Math.Clamp(Math.Ceiling(width / multiple) * multiple, 0, int.MaxValue);
    }

    private static double Number(JsonElement of, string key, double absent) => of.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : absent;

    private static JsonObject Renamed(JsonElement native, string modelType, string model)
    {
        var json = new JsonObject { ["architectures"] = new JsonArray(model), ["model_type"] = modelType };
        foreach (var (published, name) in Names) Set(json, published, native, name);
        return json;
    }

    private static void Set(JsonObject json, string key, JsonElement from, string name)
    {
        if (from.TryGetProperty(name, out var value)) json[key] = JsonNode.Parse(value.GetRawText());
    }

    private static JsonObject Copy(JsonElement native)
    {
        var json = new JsonObject();
        foreach (var property in native.EnumerateObject()) Set(json, property.Name, native, property.Name);
        return json;
    }

    private static JsonElement Element(JsonObject json)
    {
        using var document = JsonDocument.Parse(json.ToJsonString());
        return document.RootElement.Clone();
    }
}
