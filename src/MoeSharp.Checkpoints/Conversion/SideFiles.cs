namespace MoeSharp.Checkpoints;

/// <summary>What lies beside weights and config in a model's folder: tokenizer, chat template, generation settings, licence.</summary>
internal static class SideFiles
{
    private const long LargestBytes = 256_000_000;

    private static readonly string[] Endings = [".json", ".txt", ".jinja", ".model", ".tiktoken", ".md", ""];

    // of quantization tools, which say what the weights no longer are
    private static readonly string[] OfQuantization = ["quantize_config.json", "quant_config.json", "hf_quant_config.json"];

    /// <summary>The names of the files that a conversion takes along as they are.</summary>
    public static IReadOnlyList<string> Find(MoeCheckpoint source, bool isDequantized) => Directory.Exists(source.Path)
        ? [.. new DirectoryInfo(source.Path).EnumerateFiles().Where(file => IsOne(file, isDequantized) && !(source.Config is not null && file.Name == ModelConfig.NativeFileName)).Select(file => file.Name).Order(StringComparer.Ordinal)]
        : [];

    private static bool IsOne(FileInfo file, bool isDequantized) =>
        !file.Name.StartsWith('.') && Endings.Contains(file.Extension) && file.Length <= LargestBytes
        && !file.Name.EndsWith(".index.json", StringComparison.Ordinal) && file.Name is not (ModelConfig.FileName or ConversionProof.FileName)
        && !(isDequantized && OfQuantization.Contains(file.Name));
}
