using System.Text.Encodings.Web;
using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>Writes the tokenizer.json of a trained tokenizer, byte for byte as Hugging Face tokenizers 0.23 would.</summary>
internal static class TrainedTokenizerJson
{
    public static byte[] Write(TrainedVocabulary vocabulary, string endOfText)
    {
        using var stream = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

        using (var writer = new Utf8JsonWriter(stream, options))
        {
            writer.WriteStartObject();
            writer.WriteString("version", "1.0");
            writer.WriteNull("truncation");
            writer.WriteNull("padding");
            WriteAddedToken(writer, endOfText);
            writer.WriteNull("normalizer");
            WriteByteLevel(writer, "pre_tokenizer", addPrefixSpace: false);
            writer.WriteNull("post_processor");
            WriteByteLevel(writer, "decoder", addPrefixSpace: true);
            WriteModel(writer, vocabulary);
            writer.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void WriteAddedToken(Utf8JsonWriter writer, string content)
    {
        writer.WriteStartArray("added_tokens");
        writer.WriteStartObject();
        writer.WriteNumber("id", 0);
        writer.WriteString("content", content);
        foreach (var flag in (string[])["single_word", "lstrip", "rstrip", "normalized"]) writer.WriteBoolean(flag, false);
        writer.WriteBoolean("special", true);
        writer.WriteEndObject();
        writer.WriteEndArray();
    }

    private static void WriteByteLevel(Utf8JsonWriter writer, string component, bool addPrefixSpace)
    {
        writer.WriteStartObject(component);
        writer.WriteString("type", "ByteLevel");
        writer.WriteBoolean("add_prefix_space", addPrefixSpace);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", true);
        writer.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter writer, TrainedVocabulary vocabulary)
    {
        writer.WriteStartObject("model");
        writer.WriteString("type", "BPE");
        foreach (var absent in (string[])["dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"]) writer.WriteNull(absent);
        foreach (var flag in (string[])["fuse_unk", "byte_fallback", "ignore_merges"]) writer.WriteBoolean(flag, false);

        writer.WriteStartObject("vocab");
        for (var id = 0; id < vocabulary.Count; id++) writer.WriteNumber(vocabulary.Tokens[id], id);
        writer.WriteEndObject();

        writer.WriteStartArray("merges");
        foreach (var (left, right) in vocabulary.Merges)
        {
            writer.WriteStartArray();
            writer.WriteStringValue(left);
            writer.WriteStringValue(right);
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
