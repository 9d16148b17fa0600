using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>What the tests of conversions share: models of every family, and their tensors in a form that is easy to compare.</summary>
internal static class ConversionFolders
{
    /// <summary>Models of plain numbers.</summary>
    public static readonly string[] Plain =
    [
        "dbrx_published", "deepseek_v2_groups", "deepseek_v3", "deepseek_v4", "dots1_published", "ernie4_5_moe", "flex_olmo", "gemma4", "glm4_moe", "glm4_moe_lite", "gpt_oss", "granitemoe",
        "granitemoehybrid_published", "hunyuan_v1_moe", "hy_v3_published", "jamba", "lfm2_moe_published", "llama4", "mistral4", "mixtral", "mixtral_sharded", "olmoe", "phimoe", "qwen2_moe",
        "qwen3_5_moe_text", "qwen3_moe", "qwen3_next", "qwen3_vl_moe_published",
    ];

    /// <summary>Models of quantized weights.</summary>
    public static readonly string[] Quantized =
        ["deepseek_v3_fp8", "gpt_oss_mxfp4", "gpt_oss_published", "kimi_k2_int4_g32", "minimax_m2_published", "qwen3_moe_gptq_int4_g32"];

    public static string Model(string name) => Directory.Exists(Fixtures.Path("models", name)) ? Fixtures.Path("models", name) : Fixtures.Path(name);

    public static ConversionSummary Convert(string source, string target, ConversionOptions? options = null, IProgress<ConversionProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        using var checkpoint = MoeCheckpoint.Open(source);
        return CheckpointConverter.Convert(checkpoint, target, options, progress, cancellationToken);
    }

    /// <summary>Name, type, shape and bytes of every tensor, by name.</summary>
    public static string[] Tensors(string folder)
    {
        using var files = ModelFolder.Open(folder);
        return [.. files.Tensors.Values.Select(tensor => $"{tensor} {System.Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(files.Bytes(tensor.Name)))}").Order(StringComparer.Ordinal)];
    }

    /// <summary>All numbers of a matrix.</summary>
    public static float[] Values(WeightMatrix matrix)
    {
        var values = new float[matrix.Rows * matrix.Columns];
        matrix.Decode(0, matrix.Rows, values);
        return values;
    }
}
