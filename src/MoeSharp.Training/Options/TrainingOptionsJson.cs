using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace MoeSharp.Training;

/// <summary>
/// <see cref="TrainingOptions"/> as JSON: snake_case names, the model's shape under "model", enums as lower-case words.
/// Reading is strict: every unknown field and every wrong type is an error that names it.
/// </summary>
public static class TrainingOptionsJson
{
    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false };

    /// <summary>All options, indented, with every default written out.</summary>
    public static string Write(TrainingOptions options) => JsonSerializer.Serialize(options, TrainingJsonContext.Default.TrainingOptions);

    /// <summary>The given options with the values that a document names in place of theirs; comments and trailing commas are allowed.</summary>
    /// <param name="options">What holds where the document says nothing.</param>
    /// <param name="json">A JSON object with any of the fields that <see cref="Write"/> writes.</param>
    /// <param name="source">Where the document comes from, for messages.</param>
    /// <exception cref="MoeException">The document is no JSON object, or has an unknown or repeated field or a value of the wrong type.</exception>
    public static TrainingOptions Overlay(TrainingOptions options, string json, string source)
    {
        var merged = JsonSerializer.SerializeToNode(options, TrainingJsonContext.Default.TrainingOptions)!.AsObject(); // options is not null, so neither is the node

        Merge(merged, Parse(json, source), TrainingJsonContext.Default.TrainingOptions, "", source);

        return merged.Deserialize(TrainingJsonContext.Default.TrainingOptions)!; // an object gives an instance
    }

    private static JsonObject Parse(string json, string source)
    {
        try
        {
            return JsonNode.Parse(json, documentOptions: Lenient) as JsonObject ?? throw new MoeException($"{source}: expected a JSON object such as {{ \"steps\": 100 }}.");
        }
        catch (JsonException error)
        {
            throw new MoeException($"{source}: not valid JSON: {error.Message}", error);
        }
    }

    private static void Merge(JsonObject target, JsonObject changes, JsonTypeInfo type, string prefix, string source)
    {
        foreach (var (name, value) in changes)
        {
            var property = type.Properties.FirstOrDefault(property => property.Name == name)
                ?? throw new MoeException($"{source}: unknown field '{prefix}{name}'.{ClosestName.Hint(prefix + name, type.Properties.Select(property => prefix + property.Name))}");

            if (value is JsonObject part && TrainingJsonContext.Default.GetTypeInfo(property.PropertyType) is { Kind: JsonTypeInfoKind.Object } partType)
            {
                Merge(target[name]!.AsObject(), part, partType, $"{prefix}{name}.", source); // the target has every field
                continue;
            }

            CheckType(value, property, $"{source}: '{prefix}{name}'");
            target[name] = value?.DeepClone();
        }
    }

    private static void CheckType(JsonNode? value, JsonPropertyInfo property, string subject)
    {
        var isNullAllowed = Nullable.GetUnderlyingType(property.PropertyType) is not null;
        try
        {
            if (value is null ? isNullAllowed : value.Deserialize(TrainingJsonContext.Default.GetTypeInfo(property.PropertyType)!) is not null) return;
        }
        catch (JsonException)
        {
            // said below, with the value
        }

        throw new MoeException($"{subject} is {value?.ToJsonString() ?? "null"}; expected {Describe(Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType)}.");
    }

    private static string Describe(Type type) => type switch
    {
        _ when type == typeof(int) => "a whole number",
        _ when type == typeof(double) => "a number",
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(ModelShape) => "an object",
        { IsEnum: true } => $"one of {string.Join(", ", JsonNames(type).Select(name => $"\"{name}\""))}",
        _ => "a list of whole numbers",
    };

    private static IEnumerable<string> JsonNames(Type type) => Enum.GetNames(type).Select(ChoiceWord.Of);
}
