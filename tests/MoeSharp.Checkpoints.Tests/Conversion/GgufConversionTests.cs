using System.Text.Json;
using MoeSharp.TestKit;
using static MoeSharp.Checkpoints.Tests.ConversionFolders;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>GGUF files of every architecture into the names and the config of Hugging Face.</summary>
public sealed class GgufConversionTests : IDisposable
{
    private const int D = FamilyCase.HiddenSize, V = FamilyCase.Vocabulary, Heads = 2;

    // architectures of which only MoE layers can be converted
    private static readonly string[] LayersAlone = ["qwen3next", "qwen35moe", "deepseek4", "gemma4", "jamba", "dbrx"];

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<GgufCase> Cases => [.. GgufCases.All];

    public static TheoryData<GgufCase> Whole => [.. GgufCases.All.Where(each => !LayersAlone.Contains(each.Architecture))];

    public static TheoryData<GgufCase> Parts => [.. GgufCases.All.Where(each => LayersAlone.Contains(each.Architecture))];

    [Theory, MemberData(nameof(Cases))]
    public void Convert_AnArchitecture_OpensWithTheSameLayersAndIsProved(GgufCase each)
    {
        var options = GgufCases.Options(each);
        var experts = GgufFamily.Layout.Experts[options.Experts.HasBias ? 0 : each.Metadata.Length % 2];
        string path = GgufCases.Write(_folder, each, options, experts, out var written);
        foreach (var layout in Enum.GetValues<ExpertLayout>())
        {
            string target = _folder.File($"{layout}");
            using var source = MoeCheckpoint.Open(path);
            CheckpointConverter.Convert(source, target, new() { Layout = layout, Layers = LayersAlone.Contains(each.Architecture) ? each.MoeLayers : null });

            using var converted = MoeCheckpoint.Open(target);
            Assert.Empty(converted.Warnings);
            Assert.Equal(each.MoeLayers, converted.MoeLayers);
            Assert.Equal(source.Model with { HeldLayers = converted.Model.HeldLayers, Layers = converted.Model.Layers, Attention = converted.Model.Attention }, converted.Model);
            Assert.Equal(source.Model.Layers, converted.Model.Layers);
            foreach (int layer in each.MoeLayers) StoredAssert.Equal(written, converted.Layer(layer));
            AssertProved(ConversionProof.Run(source, target));
        }

        Assert.Equal(Tensors(_folder.File("Keep")), Tensors(_folder.File("Published")));
    }

    [Theory, MemberData(nameof(Whole))]
    public void Convert_TheWholeModel_NamesWhatIsNoPartOfMoeLayers(GgufCase each)
    {
        var names = NamesOf(each);
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file => AddOthers(file, names));

        using var source = MoeCheckpoint.Open(path);
        CheckpointConverter.Convert(source, _folder.File("target"));

        Assert.Empty(source.Warnings);
        AssertProved(ConversionProof.Run(source, _folder.File("target")));
        using var target = ModelFolder.Open(_folder.File("target"));
        foreach (var (gguf, published, shape) in names)
        {
            Assert.True(target.Tensors.TryGetValue(published, out var info), published);
            long[] expected = published.EndsWith("conv.conv.weight", StringComparison.Ordinal) ? [shape[0], 1, shape[1]] : shape;
            Assert.Equal(expected, info.Shape);
            if (published.Contains("q_proj", StringComparison.Ordinal) || published.Contains("k_proj", StringComparison.Ordinal)) continue;       // their order has tests of its own

            Assert.Equal(Values(gguf, shape), PlainMatrix.ReadAll(target.Data(published)));
        }

        var config = JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement;
        Assert.Matches("^[A-Z].*ForCausalLM$", config.GetProperty("architectures")[0].GetString());
        Assert.Equal(("float32", D, V), (config.GetProperty("torch_dtype").GetString(), config.GetProperty("hidden_size").GetInt32(), config.GetProperty("vocab_size").GetInt32()));
    }

    [Theory, MemberData(nameof(Parts))]
    public void Convert_AModelWhoseOtherTensorsHaveNoNames_IsRefusedWithAllOfThem(GgufCase each)
    {
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file =>
        {
            for (int layer = 0; layer < 3; layer++) file.Add($"blk.{layer}.attn_norm.weight", [D], new float[D]);
            file.Add("token_embd.weight", [V, D], new float[V * D]);
        });

        using var source = MoeCheckpoint.Open(path);
        string message = Assert.Throws<CheckpointException>(() => CheckpointConverter.Convert(source, _folder.File("target"))).Message;

        Assert.Contains("for tensor 'blk.{l}.attn_norm.weight' of 3 layers.", message, StringComparison.Ordinal);
        Assert.Contains("for tensor 'token_embd.weight'.", message, StringComparison.Ordinal);
        Assert.Contains("MoE layers alone can be converted: name them.", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("target")));
    }

    [Fact]
    public void Convert_ATensorOfNoName_IsRefusedUnlessLayersAloneAreAskedFor()
    {
        var each = GgufCases.All.Single(each => each.Architecture == "qwen3moe");
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file => file.Add("blk.2.attn_strange.weight", [D], new float[D]));

        using var source = MoeCheckpoint.Open(path);
        Assert.Contains("There is no name in files of qwen3_moe for tensor 'blk.{l}.attn_strange.weight'.", Assert.Throws<CheckpointException>(() => CheckpointConverter.Convert(source, _folder.File("target"))).Message, StringComparison.Ordinal);
        var summary = CheckpointConverter.Convert(source, _folder.File("target"), new() { Layers = [2] });

        Assert.Equal(1 + 3 * FamilyCase.Experts, summary.Tensors);
        AssertProved(ConversionProof.Run(source, _folder.File("target")));
    }

    [Theory]
    [InlineData("llama", true)]
    [InlineData("granitemoe", true)]
    [InlineData("qwen3moe", false)]
    [InlineData("llama4", false)]
    public void Convert_QueriesAndKeys_AreInTheOrderOfTransformers(string architecture, bool arePaired)
    {
        const int KeyHeads = 1, Size = 6;
        var each = GgufCases.All.First(each => each.Architecture == architecture);
        float[] queries = Values("q", [Heads * Size, D]), keys = Values("k", [KeyHeads * Size, D]), bias = Values("b", [Heads * Size]);
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file =>
        {
            file.Value($"{architecture}.attention.head_count_kv", KeyHeads);
            file.Value($"{architecture}.attention.key_length", Size);
            file.Add("blk.3.attn_q.weight", [Heads * Size, D], queries);
            file.Add("blk.3.attn_q.bias", [Heads * Size], bias);
            file.Add("blk.3.attn_k.weight", [KeyHeads * Size, D], keys);
        });

        Convert(path, _folder.File("target"));

        using var target = ModelFolder.Open(_folder.File("target"));
        Check("model.layers.3.self_attn.q_proj.weight", queries, Heads, D);
        Check("model.layers.3.self_attn.q_proj.bias", bias, Heads, 1);
        Check("model.layers.3.self_attn.k_proj.weight", keys, KeyHeads, D);

        // as llama.cpp's converter reshapes: of a head [2, size / 2] the two dimensions were exchanged
        void Check(string name, float[] stored, int heads, int width)
        {
            float[] actual = PlainMatrix.ReadAll(target.Data(name));
            for (int head = 0; head < heads; head++)
            {
                for (int half = 0; half < 2; half++)
                {
                    for (int pair = 0; pair < Size / 2; pair++)
                    {
                        int meant = head * Size + half * (Size / 2) + pair, there = arePaired ? head * Size + pair * 2 + half : meant;
                        Assert.Equal(stored[(there * width)..((there + 1) * width)], actual[(meant * width)..((meant + 1) * width)]);
                    }
                }
            }
        }
    }

    [Fact]
    public void Convert_LatentAttentionInTwoParts_IsTheOneMatrixOfTransformers()
    {
        const int Rank = 5, Nope = 3, Rope = 2, Value = 4;
        float[] keys = Values("k", [Heads, Rank, Nope]), values = Values("v", [Heads, Value, Rank]);
        string path = WriteDeepseek(file =>
        {
            foreach (var (key, size) in ((string, uint)[])[("attention.kv_lora_rank", Rank), ("attention.head_count_kv", 1), ("attention.key_length", Rank + Rope), ("attention.value_length", Rank), ("attention.key_length_mla", Nope + Rope), ("attention.value_length_mla", Value), ("rope.dimension_count", Rope)]) file.Value($"deepseek2.{key}", size);
            file.Value("deepseek2.rope.scaling.type", "yarn");
            file.Value("deepseek2.rope.scaling.factor", GgufValueType.F32, BitConverter.GetBytes(40f));
            file.Value("deepseek2.rope.scaling.yarn_log_multiplier", GgufValueType.F32, BitConverter.GetBytes(0.0707f));
            file.Add("blk.0.attn_k_b.weight", [Heads, Rank, Nope], keys);
            file.Add("blk.0.attn_v_b.weight", [Heads, Value, Rank], values);
        });

        Convert(path, _folder.File("target"));

        using var target = ModelFolder.Open(_folder.File("target"));
        var actual = target.Data("model.layers.0.self_attn.kv_b_proj.weight");
        Assert.Equal([Heads * (Nope + Value), Rank], actual.Info.Shape);
        float[] joined = PlainMatrix.ReadAll(actual);
        for (int head = 0; head < Heads; head++)
        {
            for (int row = 0; row < Nope + Value; row++)
            {
                for (int column = 0; column < Rank; column++)
                    Assert.Equal(row < Nope ? keys[(head * Rank + column) * Nope + row] : values[(head * Value + row - Nope) * Rank + column], joined[(head * (Nope + Value) + row) * Rank + column]);
            }
        }

        var config = JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement;
        (string Key, int Size)[] sizes = [("kv_lora_rank", Rank), ("qk_nope_head_dim", Nope), ("qk_rope_head_dim", Rope), ("v_head_dim", Value), ("num_key_value_heads", Heads)];
        Assert.All(sizes, size => Assert.Equal(size.Size, config.GetProperty(size.Key).GetInt32()));
        Assert.Equal("""{"type":"yarn","rope_type":"yarn","factor":40.0,"mscale_all_dim":0.707,"mscale":0.707}""", JsonSerializer.Serialize(config.GetProperty("rope_scaling")));
        using var source = MoeCheckpoint.Open(path);
        AssertProved(ConversionProof.Run(source, _folder.File("target")));
    }

    [Fact]
    public void Convert_LatentAttentionWithoutItsValues_IsRefused()
    {
        string path = WriteDeepseek(file => file.Add("blk.0.attn_k_b.weight", [Heads, 5, 3], new float[Heads * 15]));

        Assert.Contains("'blk.{l}.attn_k_b.weight'", Assert.Throws<CheckpointException>(() => Convert(path, _folder.File("target"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_LayersThatPredictSeveralTokens_AreLeftOutAndThatIsSaid()
    {
        var each = GgufCases.All.Single(each => each.Architecture == "glm4moe");
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file => file.Add("blk.4.nextn.enorm.weight", [D], new float[D]));

        using var source = MoeCheckpoint.Open(path);
        var summary = CheckpointConverter.Convert(source, _folder.File("target"));

        Assert.Equal(["The tokenizer of the GGUF file does not come along; take it from the model's own files.", "Layers after the first 4, which predict several tokens at once, do not come along; tensors left out: 1."], summary.Notes);
        AssertProved(ConversionProof.Run(source, _folder.File("target")));
    }

    [Fact]
    public void Convert_HeadsByLayer_BecomeTheKindsOfLayers()
    {
        var each = GgufCases.All.Single(each => each.Architecture == "lfm2moe");
        byte[] heads = [.. new[] { 0, 2, 0, 2 }.SelectMany(BitConverter.GetBytes)];
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file =>
            file.Value("lfm2moe.attention.head_count_kv", GgufValueType.Array, RawGguf.Array(GgufValueType.I32, 4, heads)).Value("lfm2moe.shortconv.l_cache", 3u));

        Convert(path, _folder.File("target"));

        using var target = MoeCheckpoint.Open(_folder.File("target"));
        var config = JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement;
        Assert.Equal(["conv", "full_attention", "conv", "full_attention"], target.Model.Attention.LayerKinds);
        Assert.Equal((2, 3), (target.Model.Attention.KeyValueHeadCount, config.GetProperty("conv_L_cache").GetInt32()));
    }

    [Fact]
    public void Convert_PartsOfHeadsThatTurn_AreAFactor()
    {
        var each = GgufCases.All.Single(each => each.Architecture == "glm4moe");
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file => file.Value("glm4moe.attention.key_length", 8u).Value("glm4moe.rope.dimension_count", 4u));

        Convert(path, _folder.File("target"));

        Assert.Equal(0.5, JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement.GetProperty("partial_rotary_factor").GetDouble());
    }

    [Fact]
    public void Convert_Metadata_BecomeTheConfig()
    {
        var each = GgufCases.All.Single(each => each.Architecture == "granitemoe");
        const string Metadata = """
            {"granitemoe.context_length": 4096, "granitemoe.rope.freq_base": 1000000.5, "granitemoe.attention.layer_norm_rms_epsilon": 0.00001, "granitemoe.attention.key_length": 4,
            "granitemoe.rope.scaling.factor": 4.0, "granitemoe.rope.scaling.original_context_length": 1024, "granitemoe.embedding_scale": 12.0, "granitemoe.residual_scale": 0.22, "tokenizer.ggml.eos_token_id": 7}
            """;
        string path = GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: file =>
        {
            foreach (var value in JsonDocument.Parse(Metadata).RootElement.EnumerateObject()) file.Add(value.Name, value.Value);
            file.Value("granitemoe.rope.scaling.type", "yarn");
            file.Add("output.weight", [V, D], new float[V * D]);
        });

        Convert(path, _folder.File("target"), new() { Type = TensorType.BF16 });

        var config = JsonDocument.Parse(File.ReadAllText(_folder.File("target/config.json"))).RootElement;
        (string Key, string Json)[] expected =
        [
            ("architectures", """["GraniteMoeSharedForCausalLM"]"""), ("model_type", "\"granitemoeshared\""), ("num_local_experts", "6"), ("num_experts_per_tok", "2"), ("max_position_embeddings", "4096"), ("rope_theta", "1000000.5"),
            ("rms_norm_eps", "1E-05"), ("head_dim", "4"), ("embedding_multiplier", "12.0"), ("residual_multiplier", "0.22"), ("eos_token_id", "7"), ("tie_word_embeddings", "false"), ("torch_dtype", "\"bfloat16\""),
            ("rope_scaling", """{"type":"yarn","rope_type":"yarn","factor":4.0,"original_max_position_embeddings":1024}"""), ("num_hidden_layers", "4"), ("num_attention_heads", "2"),
        ];
        Assert.All(expected, entry => Assert.Equal(entry.Json, JsonSerializer.Serialize(config.GetProperty(entry.Key))));
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertProved(ConversionProof proof)
    {
        Assert.True(proof.Passed, JsonSerializer.Serialize(proof));
        Assert.NotEmpty(proof.Layers);
    }

    private string WriteDeepseek(Action<RawGguf> more)
    {
        var each = GgufCases.All.Last(each => each.Architecture == "deepseek2");
        return GgufCases.Write(_folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, more: more);
    }

    private static void AddOthers(RawGguf file, (string Gguf, string Published, long[] Shape)[] names)
    {
        foreach (var (name, _, shape) in names) file.Add(name, shape, Values(name, shape));
    }

    /// <summary>Numbers that a name alone decides.</summary>
    private static float[] Values(string name, long[] shape)
    {
        var random = new Random(name.Sum(letter => letter * 31));
        return [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (product, size) => product * size)).Select(_ => random.NextSingle() - 0.5f)];
    }

    // as transformers names them, written out; in layer 3 attention, in layer 0 a dense MLP where there is one
    private static (string Gguf, string Published, long[] Shape)[] NamesOf(GgufCase each)
    {
        (string, string, long[])[] names =
        [
            ("token_embd.weight", "model.embed_tokens.weight", [V, D]), ("output.weight", "lm_head.weight", [V, D]),
            ("blk.3.attn_q.weight", "model.layers.3.self_attn.q_proj.weight", [8, D]), ("blk.3.attn_k.weight", "model.layers.3.self_attn.k_proj.weight", [8, D]), ("blk.3.attn_v.weight", "model.layers.3.self_attn.v_proj.weight", [8, D]),
        ];
        return
        [
            .. names,
            .. each.Architecture switch
            {
                "lfm2moe" => (ReadOnlySpan<(string, string, long[])>)
                [
                    ("token_embd_norm.weight", "model.embedding_norm.weight", [D]), ("blk.3.attn_norm.weight", "model.layers.3.operator_norm.weight", [D]), ("blk.3.ffn_norm.weight", "model.layers.3.ffn_norm.weight", [D]),
                    ("blk.3.attn_output.weight", "model.layers.3.self_attn.out_proj.weight", [D, 8]), ("blk.3.attn_q_norm.weight", "model.layers.3.self_attn.q_layernorm.weight", [4]),
                    ("blk.0.shortconv.conv.weight", "model.layers.0.conv.conv.weight", [D, 3]), ("blk.0.shortconv.in_proj.weight", "model.layers.0.conv.in_proj.weight", [24, D]), ("blk.0.shortconv.out_proj.weight", "model.layers.0.conv.out_proj.weight", [D, D]),
                    ("blk.0.ffn_gate.weight", "model.layers.0.feed_forward.w1.weight", [16, D]), ("blk.0.ffn_up.weight", "model.layers.0.feed_forward.w3.weight", [16, D]), ("blk.0.ffn_down.weight", "model.layers.0.feed_forward.w2.weight", [D, 16]),
                ],
                _ =>
                [
                    ("output_norm.weight", "model.norm.weight", [D]), ("blk.3.attn_norm.weight", "model.layers.3.input_layernorm.weight", [D]), ("blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight", [D, 8]),
                    (each.Architecture is "glm4moe" or "gpt-oss" ? "blk.3.post_attention_norm.weight" : "blk.3.ffn_norm.weight", "model.layers.3.post_attention_layernorm.weight", [D]),
                ],
            },
            .. each.Architecture switch
            {
                "deepseek2" => (ReadOnlySpan<(string, string, long[])>)
                [
                    ("blk.3.attn_q_a.weight", "model.layers.3.self_attn.q_a_proj.weight", [5, D]), ("blk.3.attn_q_a_norm.weight", "model.layers.3.self_attn.q_a_layernorm.weight", [5]), ("blk.3.attn_q_b.weight", "model.layers.3.self_attn.q_b_proj.weight", [8, 5]),
                    ("blk.3.attn_kv_a_mqa.weight", "model.layers.3.self_attn.kv_a_proj_with_mqa.weight", [6, D]), ("blk.3.attn_kv_a_norm.weight", "model.layers.3.self_attn.kv_a_layernorm.weight", [4]),
                    ("blk.3.attn_kv_b.weight", "model.layers.3.self_attn.kv_b_proj.weight", [12, 4]), .. Dense("mlp"),
                ],
                "glm4moe" or "dots1" or "ernie4_5-moe" => Dense("mlp"),
                "llama4" => Dense("feed_forward"),
                "gpt-oss" => [("blk.3.attn_sinks.weight", "model.layers.3.self_attn.sinks", [Heads]), ("blk.3.attn_q.bias", "model.layers.3.self_attn.q_proj.bias", [8]), ("blk.3.attn_output.bias", "model.layers.3.self_attn.o_proj.bias", [D])],
                "hunyuan-moe" => [("blk.3.attn_q_norm.weight", "model.layers.3.self_attn.query_layernorm.weight", [4]), ("blk.3.attn_k_norm.weight", "model.layers.3.self_attn.key_layernorm.weight", [4])],
                "qwen3moe" or "olmoe" or "minimax-m2" => [("blk.3.attn_q_norm.weight", "model.layers.3.self_attn.q_norm.weight", [4]), ("blk.3.attn_k_norm.weight", "model.layers.3.self_attn.k_norm.weight", [4])],
                "phimoe" => [("output.bias", "lm_head.bias", [V]), ("blk.3.attn_norm.bias", "model.layers.3.input_layernorm.bias", [D])],
                _ => [],
            },
        ];

        static (string, string, long[])[] Dense(string mlp) =>
            [("blk.0.ffn_gate.weight", $"model.layers.0.{mlp}.gate_proj.weight", [16, D]), ("blk.0.ffn_up.weight", $"model.layers.0.{mlp}.up_proj.weight", [16, D]), ("blk.0.ffn_down.weight", $"model.layers.0.{mlp}.down_proj.weight", [D, 16])];
    }
}
