using System.Runtime.InteropServices;
using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>A tiny model of an architecture: its metadata besides the sizes, and what its last layer computes.</summary>
public sealed record GgufCase(string Architecture, string Family, string Metadata, string Options, params int[] MoeLayers)
{
    public override string ToString() => $"{Architecture} {Metadata.Length}";
}

/// <summary>All architectures: a new one adds an entry.</summary>
internal static class GgufCases
{
    private const string Deepseek = """
        "expert_feed_forward_length": 4, "feed_forward_length": 16, "expert_shared_count": 2, "leading_dense_block_count": 1, "expert_weights_scale": 2.5
        """;

    private const string Sigmoid = """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 2.5}, "shared": {"size": 8}}""";

    public static readonly GgufCase[] All =
    [
        new("llama", "mixtral", """{"feed_forward_length": 4}""", """{"router": {"renormalize": "always"}}""", 0, 1, 2, 3),
        new("qwen2moe", "qwen2_moe", """{"expert_feed_forward_length": 4, "feed_forward_length": 16, "expert_shared_feed_forward_length": 10}""", """{"shared": {"size": 10, "gated": true}}""", 0, 1, 2, 3),
        new("qwen3moe", "qwen3_moe", """{"expert_feed_forward_length": 4, "feed_forward_length": 16}""", """{"router": {"renormalize": "always"}}""", 0, 1, 2, 3),
        new("qwen3next", "qwen3_next", """{"expert_feed_forward_length": 4, "expert_shared_feed_forward_length": 10}""", """{"router": {"renormalize": "always"}, "shared": {"size": 10, "gated": true}}""", 0, 1, 2, 3),
        new("qwen3vlmoe", "qwen3_moe", """{"expert_feed_forward_length": 4, "feed_forward_length": 16}""", """{"router": {"renormalize": "always"}}""", 0, 1, 2, 3),
        new("qwen35moe", "qwen3_5_moe", """{"expert_feed_forward_length": 4, "expert_shared_feed_forward_length": 10}""", """{"router": {"renormalize": "always"}, "shared": {"size": 10, "gated": true}}""", 0, 1, 2, 3),
        new("olmoe", "olmoe", """{"feed_forward_length": 4}""", "{}", 0, 1, 2, 3),
        new("deepseek2", "deepseek_v2", $$"""{{{Deepseek}}, "expert_gating_func": 1, "expert_weights_norm": false}""", """{"router": {"scale": 2.5}, "shared": {"size": 8}}""", 1, 2, 3),
        new("deepseek2", "deepseek_v2", $$"""{{{Deepseek}}, "expert_group_count": 3, "expert_group_used_count": 2}""", """{"router": {"scale": 2.5, "group_limit": {"groups": 3, "keep": 2, "by": "max"}}, "shared": {"size": 8}}""", 1, 2, 3),
        new("deepseek2", "deepseek_v3", $$"""{{{Deepseek}}, "expert_gating_func": 2, "expert_weights_norm": true, "expert_group_count": 3, "expert_group_used_count": 2}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "group_limit": {"groups": 3, "keep": 2, "by": "top2_sum"}, "renormalize": "always", "epsilon": 1e-20, "scale": 2.5}, "shared": {"size": 8}}""", 1, 2, 3),
        new("deepseek4", "deepseek_v4", $$"""{"expert_feed_forward_length": 4, "expert_shared_count": 1, "expert_weights_scale": 1.5, "expert_weights_norm": true, "hash_layer_count": 2, "swiglu_clamp_exp": 10.0}""",
            """{"router": {"score": "sqrt_softplus", "correction_bias": true, "renormalize": "always", "epsilon": 1e-20, "scale": 1.5}, "experts": {"limit": 10}, "shared": {"size": 4, "limit": 10}}""", 0, 1, 2, 3),
        new("glm4moe", "glm4_moe", $$"""{{{Deepseek}}, "expert_gating_func": 2, "expert_weights_norm": true, "block_count": 5, "nextn_predict_layers": 1}""", Sigmoid, 1, 2, 3),
        new("dots1", "dots1", $$"""{{{Deepseek}}, "expert_gating_func": 2, "expert_weights_norm": true}""", Sigmoid, 1, 2, 3),
        new("gpt-oss", "gpt_oss", """{"expert_feed_forward_length": 4}""", """{"router": {"logit_bias": true, "weights": "softmax_of_selected"}, "experts": {"activation": "gpt_oss", "bias": true, "limit": 7}}""", 0, 1, 2, 3),
        new("llama4", "llama4", """{"expert_feed_forward_length": 4, "feed_forward_length": 16, "interleave_moe_layer_step": 2}""", """{"router": {"score": "sigmoid", "apply": "input"}, "shared": {"size": 4}}""", 1, 3),
        new("granitemoe", "granitemoe", """{"feed_forward_length": 4, "expert_shared_feed_forward_length": 10}""", """{"router": {"weights": "softmax_of_selected"}, "shared": {"size": 10}}""", 0, 1, 2, 3),
        new("granitehybrid", "granitemoe", """{"feed_forward_length": 4}""", """{"router": {"weights": "softmax_of_selected"}}""", 0, 1, 2, 3),
        new("phimoe", "phimoe", """{"feed_forward_length": 4}""", """{"router": {"select": "sparsemixer"}}""", 0, 1, 2, 3),
        new("gemma4", "gemma4", """{"expert_feed_forward_length": 4, "feed_forward_length": 16}""",
            """{"router": {"input_norm": {"kind": "rms", "epsilon": 1e-6}, "input_scale": true, "renormalize": "always", "per_expert_scale": true}, "experts": {"activation": "gelu_tanh"}}""", 0, 1, 2, 3),
        new("minimax-m2", "minimax_m2", """{"expert_feed_forward_length": 4}""", """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always"}}""", 0, 1, 2, 3),
        new("jamba", "jamba", """{"feed_forward_length": 4}""", "{}", 1, 3),
        new("jamba", "jamba", """{"feed_forward_length": 4, "block_count": 4}""", "{}", 2),
        new("dbrx", "dbrx", """{"feed_forward_length": 4, "attention.head_count_kv": 1}""", """{"router": {"renormalize": "p_norm"}}""", 0, 1, 2, 3),
        new("ernie4_5-moe", "ernie4_5_moe", """{"expert_feed_forward_length": 4, "feed_forward_length": 16, "expert_shared_count": 2, "leading_dense_block_count": 1, "interleave_moe_layer_step": 1}""",
            """{"router": {"correction_bias": true, "renormalize": "always", "epsilon": 1e-12}, "shared": {"size": 8}}""", 1, 2, 3),
        new("hunyuan-moe", "hunyuan_v1_moe", """{"expert_feed_forward_length": 4}""", """{"router": {"renormalize": "always"}, "shared": {"size": 4}}""", 0, 1, 2, 3),
        new("lfm2moe", "lfm2_moe", """{"expert_feed_forward_length": 4, "feed_forward_length": 16, "leading_dense_block_count": 2, "expert_gating_func": 2}""",
            """{"router": {"score": "sigmoid", "correction_bias": true, "renormalize": "always", "epsilon": 1e-6}}""", 2, 3),
    ];

    public static MoeOptions Options(GgufCase each) => MoeOptionsJson.Read(new FamilyCase(each.Family, "{}", each.Options).FullOptions, each.Architecture);

    /// <summary>Writes a model.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="each">The architecture.</param>
    /// <param name="options">What its MoE layers compute.</param>
    /// <param name="experts">How experts are stored.</param>
    /// <param name="written">What was written.</param>
    /// <param name="without">A tensor that is left out.</param>
    /// <param name="more">Adds to the file.</param>
    public static string Write(TemporaryFolder folder, GgufCase each, MoeOptions options, StoredWeight[] experts, out WrittenCheckpoint written, string without = "", Action<RawGguf>? more = null)
    {
        var hashed = options with { Router = options.Router with { HasCorrectionBias = false, Select = new Selection.TokenTable(FamilyCase.Vocabulary) } };
        var model = new ModelDescription
        {
            Family = each.Family,
            VocabularySize = FamilyCase.Vocabulary,
            HiddenSize = FamilyCase.HiddenSize,
            Layers = [.. Enumerable.Range(0, FamilyCase.LayerCount).Select(layer => each.MoeLayers.Contains(layer) ? (MlpOptions)new MlpOptions.Sparse(each.Architecture == "deepseek4" && layer < 2 ? hashed : options) : new MlpOptions.Dense(16))],
            Attention = new(2, 2, null),
            Norm = new(NormKind.Rms, 1e-6),
        };
        written = new WrittenCheckpoint(model, new LayerPlace(GgufFamily.Layout, GgufFamily.Layout.Prefixes[0]), experts, GgufFamily.Layout.Shared[0]);
        written.Fill();

        var file = new RawGguf().Value("general.architecture", each.Architecture).Value($"{each.Architecture}.vocab_size", FamilyCase.Vocabulary);
        using var metadata = JsonDocument.Parse(each.Metadata);
        (string, uint)[] sizes = [("embedding_length", FamilyCase.HiddenSize), ("attention.head_count", 2), ("expert_count", FamilyCase.Experts), ("expert_used_count", FamilyCase.TopK)];
        foreach (var (key, size) in sizes) file.Value($"{each.Architecture}.{key}", size);
        if (!metadata.RootElement.TryGetProperty("block_count", out _)) file.Value($"{each.Architecture}.block_count", (uint)FamilyCase.LayerCount);
        foreach (var value in metadata.RootElement.EnumerateObject()) Add(file, $"{each.Architecture}.{value.Name}", value.Value);

        foreach (var (name, (shape, values)) in written.Tensors)
        {
            if (name == without) continue;
            ulong[] dimensions = name.EndsWith("shexp.weight", StringComparison.Ordinal) && shape[0] == 1 ? [(ulong)shape[1]] : [.. shape.Reverse().Select(size => (ulong)size)];
            file.Tensor(name, GgufType.F32, dimensions, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
        }

        foreach (var (name, (shape, values)) in written.Tables) file.Tensor(name, GgufType.I32, [.. shape.Reverse().Select(size => (ulong)size)], MemoryMarshal.AsBytes(values.Select(value => (int)value).ToArray().AsSpan()).ToArray());
        more?.Invoke(file);
        return file.Write(folder.File("model.gguf"));
    }

    /// <summary>A tensor of float32, of a shape with the slowest dimension first.</summary>
    public static void Add(this RawGguf file, string name, long[] shape, float[] values) =>
        file.Tensor(name, GgufType.F32, [.. shape.Reverse().Select(size => (ulong)size)], MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    /// <summary>A value of the metadata as JSON has it.</summary>
    public static void Add(this RawGguf file, string key, JsonElement value)
    {
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) file.Value(key, GgufValueType.Flag, (byte)(value.GetBoolean() ? 1 : 0));
        else if (value.GetRawText().Contains('.', StringComparison.Ordinal)) file.Value(key, GgufValueType.F32, BitConverter.GetBytes(value.GetSingle()));
        else file.Value(key, value.GetUInt32());
    }
}
