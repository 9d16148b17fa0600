using System.Text.Json;

namespace MoeSharp;

/// <summary>The header of a trace as JSON: <c>{"source": …, "layers": [{"layer": 0, "expert_count": 8, "top_k": 2}], "metadata": {…}}</c>.</summary>
internal static class RoutingTraceHeaderJson
{
    public static byte[] Write(RoutingTraceHeader header)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("source", header.Source);
            json.WriteStartArray("layers");
            foreach (var layer in header.Layers) Write(json, layer);
            json.WriteEndArray();
            json.WriteStartObject("metadata");
            foreach (var (name, value) in header.Metadata) json.WriteString(name, value);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    /// <summary>Reads a header; false with what is wrong with it.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, out RoutingTraceHeader header, out string fault)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { AllowDuplicateProperties = false });
            header = Read(document.RootElement);
            fault = header.FindFault() ?? "";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            header = new("", []);
            fault = $"It is not the JSON of a trace: {e.Message}";
        }

        return fault.Length == 0;
    }

    private static void Write(Utf8JsonWriter json, RoutingTraceLayer layer)
    {
        json.WriteStartObject();
        json.WriteNumber("layer", layer.Layer);
        json.WriteNumber("expert_count", layer.ExpertCount);
        json.WriteNumber("top_k", layer.TopK);
        json.WriteEndObject();
    }

    private static RoutingTraceHeader Read(JsonElement root)
    {
        ExpectFields(root, 3);
        var layers = root.GetProperty("layers").EnumerateArray().Select(ReadLayer).ToArray();
        var metadata = root.GetProperty("metadata").EnumerateObject().ToDictionary(field => field.Name, field => Text(field.Value));

        return new(Text(root.GetProperty("source")), layers) { Metadata = metadata };
    }

    private static RoutingTraceLayer ReadLayer(JsonElement layer)
    {
        ExpectFields(layer, 3);
        return new(layer.GetProperty("layer").GetInt32(), layer.GetProperty("expert_count").GetInt32(), layer.GetProperty("top_k").GetInt32());
    }

    // the fields are asked for by name: a count is enough to find one that is not known
    private static void ExpectFields(JsonElement element, int count)
    {
        int found = element.EnumerateObject().Count();
        if (found != count) throw new JsonException($"An object has {found} fields; expected {count}.");
    }

    private static string Text(JsonElement element) => element.GetString() ?? throw new JsonException("A text is null.");
}
