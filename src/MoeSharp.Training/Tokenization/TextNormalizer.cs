using System.Text;

namespace MoeSharp.Training;

/// <summary>Brings text to one of Unicode's normal forms before it is tokenized (Qwen: NFC).</summary>
internal sealed class TextNormalizer(NormalizationForm form)
{
    /// <summary>The text in normal form; it must not hold half a surrogate pair.</summary>
    public string Apply(string text) => text.Normalize(form);
}
