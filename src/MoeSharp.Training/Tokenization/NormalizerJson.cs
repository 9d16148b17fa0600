using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>Reads the <c>normalizer</c> of tokenizer.json: none, or Unicode's normal form C.</summary>
internal static class NormalizerJson
{
    /// <summary>Whether text is brought to normal form C before it is tokenized.</summary>
    public static bool IsComposing(TokenizerFields fields, JsonElement root)
    {
        var parts = TokenizerFields.Sequence(root, "normalizer", "normalizers");
        var types = parts.Select(part => TokenizerFields.Text(part, "type")).Distinct().ToList();

        return types switch
        {
            [] => false,
            ["NFC"] => true,
            _ => throw fields.Unsupported("normalizer.type", string.Join(", ", types), "null or NFC"),
        };
    }
}
