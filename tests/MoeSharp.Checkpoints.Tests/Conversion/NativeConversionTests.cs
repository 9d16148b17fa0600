using System.Text.Json;
using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Files in the layouts of Mistral, Meta and OpenAI themselves into the names and the config of Hugging Face.</summary>
public sealed class NativeConversionTests : IDisposable
{
    private const int D = 8, V = 12, Heads = 2, KeyHeads = 1, HeadSize = 4;

    private const string Mistral = """{"dim": 8, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "head_dim": 4, "hidden_dim": 4, "norm_eps": 1e-05, "vocab_size": 12, "rope_theta": 1000000.0, "max_seq_len": 65536, "moe": {"num_experts": 6, "num_experts_per_tok": 2}}""";
    private const string OldMistral = """{"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 4, "vocab_size": 12, "num_local_experts": 6, "num_experts_per_tok": 2}""";
    private const string Meta = """{"dim": 8, "n_layers": 4, "n_heads": 2, "vocab_size": 12, "ffn_exp": 4.0, "ffn_dim_multiplier": 1.0, "multiple_of": 2, "norm_eps": 1e-05, "moe_args": {"num_experts": 6, "top_k": 1, "capacity_factor": 1.0, "auto_scale_F": true, "interleave_moe_layer_step": 2}}""";
    private const string OpenAi = """{"num_hidden_layers": 2, "num_experts": 6, "experts_per_token": 3, "vocab_size": 96, "hidden_size": 32, "intermediate_size": 32, "swiglu_limit": 7.0, "head_dim": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 6, "initial_context_length": 4096, "rope_theta": 150000, "rope_scaling_factor": 32.0, "rope_ntk_alpha": 1.0, "rope_ntk_beta": 32.0}""";

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(Mistral, 1)]
    [InlineData(OldMistral, 2)]
    public void Convert_FilesOfMistral_HaveTheNamesAndTheOrderOfTransformers(string config, int layout)
    {
        var written = Write("mixtral", config, layout, more: AddMistral);
        foreach (var target in Enum.GetValues<ExpertLayout>())
        {
            Convert(_folder.Path, _folder.File($"{target}"), new() { Layout = target });

            using var converted = MoeCheckpoint.Open(_folder.File($"{target}"));
            Assert.Empty(converted.Warnings);
            foreach (int layer in converted.MoeLayers) StoredAssert.Equal(written, converted.Layer(layer));
            AssertProved(_folder.Path, _folder.File($"{target}"));
        }

        using var published = ModelFolder.Open(_folder.File("Published"));
        Assert.Equal(["lm_head.weight", "model.embed_tokens.weight", .. Layer("block_sparse_moe.experts.0.w1", "block_sparse_moe.gate", "input_layernorm", "post_attention_layernorm", "self_attn.k_proj", "self_attn.o_proj", "self_attn.q_proj", "self_attn.v_proj"), "model.norm.weight"],
            published.Tensors.Keys.Where(name => !name.Contains("experts.", StringComparison.Ordinal) || name.EndsWith("experts.0.w1.weight", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        AssertPaired(written.Tensors["layers.1.attention.wq.weight"].Values, PlainMatrix.ReadAll(published.Data("model.layers.1.self_attn.q_proj.weight")), Heads);
        AssertPaired(written.Tensors["layers.1.attention.wk.weight"].Values, PlainMatrix.ReadAll(published.Data("model.layers.1.self_attn.k_proj.weight")), KeyHeads);
        Assert.Equal(written.Tensors["layers.1.attention.wv.weight"].Values, PlainMatrix.ReadAll(published.Data("model.layers.1.self_attn.v_proj.weight")));
        Assert.False(File.Exists(_folder.File("Published/params.json")));
    }

    [Fact]
    public void Convert_ParamsOfMistral_BecomeTheConfig()
    {
        Write("mixtral", Mistral, 1, more: AddMistral);

        Convert(_folder.Path, _folder.File("target"));

        (string Key, string Json)[] expected =
        [
            ("architectures", """["MixtralForCausalLM"]"""), ("model_type", "\"mixtral\""), ("hidden_size", "8"), ("num_hidden_layers", "2"), ("num_attention_heads", "2"), ("num_key_value_heads", "1"), ("head_dim", "4"),
            ("intermediate_size", "4"), ("vocab_size", "12"), ("rms_norm_eps", "1e-05"), ("rope_theta", "1000000.0"), ("max_position_embeddings", "65536"), ("num_local_experts", "6"), ("num_experts_per_tok", "2"), ("torch_dtype", "\"float32\""),
        ];
        AssertConfig(expected);
    }

    [Fact]
    public void Convert_ATensorThatMistralHasNoNameFor_IsRefusedUnlessLayersAloneAreAskedFor()
    {
        var written = Write("mixtral", Mistral, 1, more: tensors => tensors["layers.0.attention.wq.qscale_weight"] = ([1], [1]));

        var error = Assert.Throws<CheckpointException>(() => Convert(_folder.Path, _folder.File("target")));
        Convert(_folder.Path, _folder.File("layer"), new() { Layers = [1] });

        Assert.Contains("'layers.{l}.attention.wq.qscale_weight'", error.Message, StringComparison.Ordinal);
        using var layer = MoeCheckpoint.Open(_folder.File("layer"));
        StoredAssert.Equal(written, layer.Layer(1));
    }

    [Fact]
    public void Convert_FilesOfMeta_CanBeConvertedByLayer()
    {
        var written = Write("llama4", Meta, 1, more: tensors =>
        {
            tensors["layers.0.attention.wqkv.weight"] = ([24, D], new float[24 * D]);
            tensors["layers.1.feed_forward.norm.weight"] = ([D], new float[D]);
        });

        string message = Assert.Throws<CheckpointException>(() => Convert(_folder.Path, _folder.File("target"))).Message;
        foreach (var layout in Enum.GetValues<ExpertLayout>())
        {
            Convert(_folder.Path, _folder.File($"{layout}"), new() { Layout = layout, Layers = [1, 3] });

            using var layers = MoeCheckpoint.Open(_folder.File($"{layout}"));
            foreach (int layer in layers.MoeLayers) StoredAssert.Equal(written, layers.Layer(layer));
            Assert.Contains("model.layers.1.feed_forward.router.weight F32 [6, 8]", layers.Tensors.Tensors.Values.Select(tensor => tensor.ToString()));
            AssertProved(_folder.Path, _folder.File($"{layout}"));
        }

        Assert.Contains("'layers.{l}.attention.wqkv.weight'", message, StringComparison.Ordinal);
        Assert.Contains("joined and cut in ways of their own", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_FilesOfOpenAi_AreThoseOfHuggingFaceByteByByte()
    {
        WriteOpenAi();

        Convert(_folder.Path, _folder.File("target"));

        Assert.Equal(Tensors(Model("gpt_oss_published")), Tensors(_folder.File("target")));
        AssertProved(_folder.Path, _folder.File("target"));
        using var source = MoeCheckpoint.Open(Model("gpt_oss_published"));
        using var target = MoeCheckpoint.Open(_folder.File("target"));
        Assert.Equal(source.Model.Layers, target.Model.Layers);
        Assert.Equal(source.Model.Norm, target.Model.Norm);
        AssertConfig(("num_local_experts", "6"), ("num_experts_per_tok", "3"), ("max_position_embeddings", "131072"), ("rms_norm_eps", "1E-05"), ("sliding_window", "6"), ("torch_dtype", "\"bfloat16\""), ("attention_bias", "true"),
            ("rope_scaling", """{"rope_type":"yarn","factor":32,"beta_fast":32,"beta_slow":1,"original_max_position_embeddings":4096,"truncate":false}"""));
    }

    [Theory]
    [InlineData(ExpertLayout.Published)]
    [InlineData(ExpertLayout.Fused)]
    public void Convert_FilesOfOpenAiDequantized_AreThoseOfHuggingFaceDequantized(ExpertLayout layout)
    {
        WriteOpenAi();
        var options = new ConversionOptions { Layout = layout, Dequantizes = true };
        Convert(Model("gpt_oss_published"), _folder.File("expected"), options with { Type = TensorType.BF16 });

        Convert(_folder.Path, _folder.File("target"), options);

        Assert.Equal(Tensors(_folder.File("expected")), Tensors(_folder.File("target")));
        AssertProved(_folder.Path, _folder.File("target"));
        Assert.DoesNotContain("quantization_config", File.ReadAllText(_folder.File("target/config.json")), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertProved(string source, string target)
    {
        using var checkpoint = MoeCheckpoint.Open(source);
        var proof = ConversionProof.Run(checkpoint, target);
        Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
    }

    private void AssertConfig(params (string Key, string Json)[] expected)
    {
        var config = JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement;
        Assert.All(expected, entry => Assert.Equal(entry.Json, JsonSerializer.Serialize(config.GetProperty(entry.Key))));
    }

    // row 2i + j of a head, the j-th of pair i, is row i of its j-th half
    private static void AssertPaired(float[] stored, float[] actual, int heads)
    {
        for (int row = 0; row < heads * HeadSize; row++)
        {
            int head = row / HeadSize, pair = row % HeadSize / 2, half = row % 2, meant = head * HeadSize + half * HeadSize / 2 + pair;
            Assert.Equal(stored[(row * D)..((row + 1) * D)], actual[(meant * D)..((meant + 1) * D)]);
        }
    }

    private static IEnumerable<string> Layer(params string[] modules) => Enumerable.Range(0, 2).SelectMany(layer => modules.Select(module => $"model.layers.{layer}.{module}.weight"));

    private WrittenCheckpoint Write(string family, string config, int layout, Action<Dictionary<string, (long[] Shape, float[] Values)>> more)
    {
        File.WriteAllText(_folder.File("params.json"), config);
        var of = ModelFamilies.Find(family)!.Layouts[layout];
        var written = new WrittenCheckpoint(ModelConfig.Read(_folder.File("params.json"), out _), new LayerPlace(of, "layers.{l}."), of.Experts[0], of.Shared.Count > 0 ? of.Shared[0] : null);
        written.Fill();
        more(written.Tensors);
        written.Write(_folder, config, "params.json", "consolidated.safetensors");
        return written;
    }

    private static void AddMistral(Dictionary<string, (long[] Shape, float[] Values)> tensors)
    {
        var random = new Random(5);
        Add("tok_embeddings.weight", V, D);
        Add("norm.weight", D);
        Add("output.weight", V, D);
        for (int layer = 0; layer < 2; layer++)
        {
            Add($"layers.{layer}.attention_norm.weight", D);
            Add($"layers.{layer}.ffn_norm.weight", D);
            Add($"layers.{layer}.attention.wq.weight", Heads * HeadSize, D);
            Add($"layers.{layer}.attention.wk.weight", KeyHeads * HeadSize, D);
            Add($"layers.{layer}.attention.wv.weight", KeyHeads * HeadSize, D);
            Add($"layers.{layer}.attention.wo.weight", D, Heads * HeadSize);
        }

        void Add(string name, params long[] shape) => tensors[name] = (shape, [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => random.NextSingle() - 0.5f)]);
    }

    private void WriteOpenAi()
    {
        using var published = ModelFolder.Open(Model("gpt_oss_published"));
        var tensors = new List<TensorToWrite>();
        foreach (var info in published.Tensors.Values)
        {
            if (info.Name.Contains("k_proj", StringComparison.Ordinal) || info.Name.Contains("v_proj", StringComparison.Ordinal)) continue;

            byte[] bytes = published.Bytes(info.Name).ToArray();
            string name = info.Name, native = OpenAiName(name);
            long[] shape = [.. info.Shape];
            if (name.Contains("q_proj", StringComparison.Ordinal))
            {
                string[] parts = [.. new[] { "k_proj", "v_proj" }.Select(part => name.Replace("q_proj", part, StringComparison.Ordinal))];
                bytes = [.. bytes, .. parts.SelectMany(part => published.Bytes(part).ToArray())];
                shape[0] += parts.Sum(part => published.Tensors[part].Shape[0]);
            }

            tensors.Add(new(native, info.Type, shape, stream => stream.Write(bytes)));
        }

        SafetensorsWriter.Write(_folder.File("model.safetensors"), tensors);
        File.WriteAllText(_folder.File("config.json"), OpenAi);
    }

    private static string OpenAiName(string name)
    {
        (string, string)[] names =
        [
            ("model.layers.", "block."), ("model.embed_tokens", "embedding"), ("lm_head", "unembedding"), ("model.norm.weight", "norm.scale"), ("input_layernorm.weight", "attn.norm.scale"), ("post_attention_layernorm.weight", "mlp.norm.scale"),
            ("self_attn.q_proj", "attn.qkv"), ("self_attn.o_proj", "attn.out"), ("self_attn.sinks", "attn.sinks"), ("mlp.router", "mlp.gate"),
            ("mlp.experts.gate_up_proj_bias", "mlp.mlp1_bias"), ("mlp.experts.down_proj_bias", "mlp.mlp2_bias"), ("mlp.experts.gate_up_proj_", "mlp.mlp1_weight."), ("mlp.experts.down_proj_", "mlp.mlp2_weight."),
        ];
        return names.Aggregate(name, (text, pair) => text.Replace(pair.Item1, pair.Item2, StringComparison.Ordinal));
    }
}
