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

    /// <summary>The type that a source's config names for its weights, bfloat16 where it names none; float32 for GGUF files, which name none.</summary>
    /// <exception cref="CheckpointException">The config is no JSON.</exception>
    public static TensorType TypeOf(MoeCheckpoint source)
    {
        if (source.Tensors is GgufFile) return TensorType.F32;

        return Objects(Root(source)).SelectMany(json => TypeKeys.Select(key => TypeOf(json[key]))).FirstOrDefault(type => type is not null) ?? TensorType.BF16;
    }

    /// <summary>The bytes of the target's config.</summary>
    /// <param name="source">What is converted.</param>
    /// <param name="options">What to.</param>
    /// <param name="plan">What is written.</param>
    public static byte[] Convert(MoeCheckpoint source, ConversionOptions options, ConversionPlan plan)
    {
        if (source.Config is null && options.Type is null && !plan.IsDequantized && options.Layers is null) return File.ReadAllBytes(FileOf(source));

        var root = Root(source);
        foreach (var json in Objects(root).ToArray())
        {
            if (plan.IsDequantized) json.Remove(QuantizationKey);
            if (options.Type is { } wanted) Rename(json, wanted);
        }

        if (source.Config is not null) root[TypeKeys[0]] = NameOf(MainType(plan));
        if (options.Layers is { } layers) root[ModelConfig.HeldLayersKey] = new JsonArray([.. layers.Order().Select(layer => (JsonNode)layer)]);
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Readable)) root.WriteTo(writer);
        buffer.Write("\n"u8);
        return buffer.ToArray();
    }

    private static string FileOf(MoeCheckpoint source) => Path.Combine(source.Path, ModelConfig.FileName);

    // no checkpoint opens whose config is no object
    private static JsonObject Root(MoeCheckpoint source)
    {
        if (source.Config is { } config) return config.DeepClone().AsObject();

        using var document = JsonFile.Parse(FileOf(source), MaximumLength);
        return JsonObject.Create(document.RootElement.Clone())!;
    }

    /// <summary>The type of most bytes that are plain numbers.</summary>
    private static TensorType MainType(ConversionPlan plan)
    {
        var plain = plan.Tensors.Where(tensor => PlainMatrix.Types.Contains(tensor.Type)).ToLookup(tensor => tensor.Type, ConversionPlan.ByteCount);
        return plain.MaxBy(group => group.Sum())?.Key ?? TensorType.F32;
    }

    private static string NameOf(TensorType type) => Types.First(entry => entry.Value == type).Key;

    private static void Rename(JsonObject json, TensorType type)
    {
        foreach (string key in TypeKeys)
        {
            if (TypeOf(json[key]) is not null) json[key] = NameOf(type);
        }
    }

    private static TensorType? TypeOf(JsonNode? value) =>
        value is JsonValue text && text.TryGetValue(out string? name) && Types.TryGetValue(name, out var type) ? type : null;

    /// <summary>An object and all in it, outer ones first.</summary>
    private static IEnumerable<JsonObject> Objects(JsonObject json) => json.Select(entry => entry.Value).OfType<JsonObject>().SelectMany(Objects).Prepend(json);
}
