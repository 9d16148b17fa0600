using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MoeSharp.Checkpoints;

/// <summary>The config of a conversion's target: the source's own, but for what no longer holds.</summary>
internal static class ConvertedConfig
{
    private const long MaximumLength = 100_000_000;
    private const string QuantizationKey = "quantization_config";

    private static readonly string[] TypeKeys = ["torch_dtype", "dtype"];
    private static readonly Dictionary<string, TensorType> Types = new() { ["float32"] = TensorType.F32, ["bfloat16"] = TensorType.BF16, ["float16"] = TensorType.F16 };
    private static readonly JsonWriterOptions Readable = new() { Indented = true, IndentSize = 2, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The type that a config names for its weights, bfloat16 where it names none.</summary>
    /// <exception cref="CheckpointException">There is no config, or it is no JSON.</exception>
    public static TensorType TypeOf(string configFile)
    {
        using var document = JsonFile.Parse(configFile, MaximumLength);
        return Objects(JsonObject.Create(document.RootElement) ?? []).SelectMany(json => TypeKeys.Select(key => TypeOf(json[key]))).FirstOrDefault(type => type is not null) ?? TensorType.BF16;
    }

    /// <summary>The bytes of the target's config.</summary>
    /// <param name="configFile">The source's.</param>
    /// <param name="type">The type that all weights get; null where they keep theirs.</param>
    /// <param name="isDequantized">Whether nothing is quantized any more.</param>
    /// <param name="layers">The layers that alone are there; null for a whole model, or as before.</param>
    public static byte[] Convert(string configFile, TensorType? type, bool isDequantized, IReadOnlyList<int>? layers)
    {
        using var document = JsonFile.Parse(configFile, MaximumLength);
        if (type is null && !isDequantized && layers is null) return File.ReadAllBytes(configFile);

        var root = JsonObject.Create(document.RootElement)!;        // no checkpoint opens whose config is none
        foreach (var json in Objects(root).ToArray())
        {
            if (isDequantized) json.Remove(QuantizationKey);
            if (type is { } wanted) Rename(json, wanted);
        }

        if (layers is not null) root[ModelConfig.HeldLayersKey] = new JsonArray([.. layers.Order().Select(layer => (JsonNode)layer)]);
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Readable)) root.WriteTo(writer);
        buffer.Write("\n"u8);
        return buffer.ToArray();
    }

    private static void Rename(JsonObject json, TensorType type)
    {
        foreach (string key in TypeKeys)
        {
            if (TypeOf(json[key]) is not null) json[key] = Types.First(entry => entry.Value == type).Key;
        }
    }

    private static TensorType? TypeOf(JsonNode? value) =>
        value is JsonValue text && text.TryGetValue(out string? name) && Types.TryGetValue(name, out var type) ? type : null;

    /// <summary>An object and all in it, outer ones first.</summary>
    private static IEnumerable<JsonObject> Objects(JsonObject json) => json.Select(entry => entry.Value).OfType<JsonObject>().SelectMany(Objects).Prepend(json);
}
