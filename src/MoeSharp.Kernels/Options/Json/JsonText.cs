using System.Text.Json;

namespace MoeSharp;

/// <summary>The text of JSON values and names, also of those whose escapes are no text (half of a surrogate pair).</summary>
internal static class JsonText
{
    private const int LongestShown = 60;

    /// <summary>The text of a string; null for other values and for what is no text.</summary>
    public static string? Of(JsonElement element)
    {
        try
        {
            return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
        }
        catch (InvalidOperationException)       // the only way in which JsonElement says so
        {
            return null;
        }
    }

    /// <summary>A field's name.</summary>
    public static string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return "(a name with half of a surrogate pair)";
        }
    }

    /// <summary>A value as messages show it, on one line: 'text' as it is escaped, 1, null, an object; cut when it is long.</summary>
    public static string Show(JsonElement element)
    {
        string text = element.ValueKind switch
        {
            JsonValueKind.Undefined => "absent",
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "a list",
            JsonValueKind.String => $"'{element.GetRawText()[1..^1]}'",
            _ => element.GetRawText(),
        };
        return text.Length <= LongestShown ? text : $"{text[..LongestShown]}…";
    }
}
