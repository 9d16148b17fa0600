using System.Text;
using System.Text.Json;

namespace MoeSharp.Training;

/// <summary>Reads the <c>normalizer</c> of tokenizer.json: none, or one of Unicode's normal forms.</summary>
internal static class NormalizerJson
{
    public static NormalizationForm? Read(TokenizerFields fields, JsonElement root)
    {
        var types = TokenizerFields.Sequence(root, "normalizer", "normalizers").Select(part => TokenizerFields.Text(part, "type")).ToList();

        return types switch
        {
            [] => null,
            ["NFC"] => NormalizationForm.FormC,
            ["NFD"] => NormalizationForm.FormD,
            ["NFKC"] => NormalizationForm.FormKC,
            ["NFKD"] => NormalizationForm.FormKD,
            _ => throw fields.Unsupported("normalizer.type", string.Join(", ", types), "null, NFC, NFD, NFKC or NFKD"),
        };
    }
}
