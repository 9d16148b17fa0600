namespace MoeSharp.Checkpoints;

/// <summary>To come.</summary>
internal static class ConversionProof
{
    /// <summary>The name of the file beside the target's weights.</summary>
    public const string FileName = "conversion-proof.json";
}
