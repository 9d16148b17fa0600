using System.Text.Encodings.Web;
using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>tokenizer_config.json: what <c>transformers</c> knows about a tokenizer beyond its ids.</summary>
/// <param name="Json">The file's content.</param>
/// <param name="EndOfText">The text of <c>eos_token</c>; null when there is none.</param>
internal sealed record TokenizerConfig(byte[] Json, string? EndOfText)
{
    public const string FileName = "tokenizer_config.json";

    /// <summary>Reads the file; one that names no token when it is missing.</summary>
    /// <exception cref="MoeException">It is not JSON.</exception>
    public static TokenizerConfig Read(string file)
    {
        if (!File.Exists(file)) return new(Write(null), null);

        try
        {
            var json = File.ReadAllBytes(file);
            using var document = JsonDocument.Parse(json);
            return new(json, document.RootElement.TryGetProperty("eos_token", out var token) ? Content(token) : null);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new MoeException($"{file} is not a tokenizer_config.json of transformers: {error.Message}", error);
        }
    }

    public static TokenizerConfig ForTraining(string endOfText) => new(Write(endOfText), endOfText);

    private static string? Content(JsonElement token) => token.ValueKind switch
    {
        JsonValueKind.String => token.GetString(),
        JsonValueKind.Object => TokenizerFields.Text(token, "content"),
        _ => null,
    };

    private static byte[] Write(string? endOfText)
    {
        using var stream = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

        using (var writer = new Utf8JsonWriter(stream, options))
        {
            writer.WriteStartObject();
            writer.WriteBoolean("clean_up_tokenization_spaces", false);
            if (endOfText is not null) writer.WriteString("eos_token", endOfText);
            writer.WritePropertyName("model_max_length");
            writer.WriteRawValue("1000000000000000019884624838656");        // int(1e30): transformers' "no limit"
            writer.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
            writer.WriteEndObject();
        }

        return stream.ToArray();
    }
}
