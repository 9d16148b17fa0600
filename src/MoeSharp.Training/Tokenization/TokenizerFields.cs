using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>Reads fields of tokenizer.json, where a missing field and null mean the same, and refuses what is not supported.</summary>
internal sealed class TokenizerFields(string file)
{
    /// <summary>An object that must be there.</summary>
    public JsonElement Object(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object
            ? value
            : throw new MoeException($"{file} is not a tokenizer.json of Hugging Face tokenizers: the field '{name}' is missing.");

    /// <summary>The refusal of a value.</summary>
    public MoeException Unsupported(string field, string? value, string expected) =>
        new($"{file}: {field} is {(string.IsNullOrEmpty(value) ? "null" : value)}; only byte-level BPE is supported, with {field} = {expected}.");

    public static string? Text(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static bool Flag(JsonElement parent, string name, bool whenMissing = false) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : whenMissing;

    /// <summary>The parts of a component: those of a <c>Sequence</c>, nested ones too, or the component alone; none when it is null.</summary>
    public static IEnumerable<JsonElement> Sequence(JsonElement root, string component, string parts) =>
        root.TryGetProperty(component, out var value) && value.ValueKind == JsonValueKind.Object ? Flatten(value, parts) : [];

    private static IEnumerable<JsonElement> Flatten(JsonElement component, string parts) =>
        Text(component, "type") == "Sequence"
            ? component.GetProperty(parts).EnumerateArray().SelectMany(part => Flatten(part, parts))
            : [component];
}
