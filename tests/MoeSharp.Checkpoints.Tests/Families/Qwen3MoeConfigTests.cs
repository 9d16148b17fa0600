using System.Text.Json.Nodes;
using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class Qwen3MoeConfigTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Qwen3MoeConfig_BothKeyStyles_ReadEqual()
    {
        var current = Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.json"), out var warnings);
        var published = Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.published.json"), out var publishedWarnings);

        DecoderAssert.Equal(current, published);
        Assert.Empty(warnings);
        Assert.Empty(publishedWarnings);
    }

    [Fact]
    public void Qwen3MoeConfig_TransformersFile_IsReadInFull()
    {
        var options = Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.json"));

        var moe = new MlpOptions.Sparse(new MoeOptions
        {
            HiddenSize = 32,
            MaskScope = MaskScope.Losses,
            Router = new RouterOptions { ExpertCount = 8, TopK = 3, Renormalize = Renormalization.Always },
            Experts = new ExpertOptions { IntermediateSize = 16 },
        });
        DecoderAssert.Equal(
            new DecoderOptions
            {
                VocabularySize = 96,
                HiddenSize = 32,
                MaxPositions = 40_960,
                Attention = new AttentionOptions { HeadCount = 4, KeyValueHeadCount = 2, HeadSize = 16, RopeTheta = 1e6 },
                Layers = [moe, moe],
                RmsNormEpsilon = 1e-6,
                LoadBalanceCoefficient = 0.001,
                BeginOfTextId = 1,
                EndOfTextId = 2,
            },
            options);
    }

    [Fact]
    public void Qwen3MoeConfig_OnlyModelType_HasTheDefaultsOfTransformers()
    {
        var options = Read("""{"model_type": "qwen3_moe"}""");

        var moe = Assert.IsType<MlpOptions.Sparse>(options.Layers[0]).Moe;
        Assert.Equal((151_936, 2048, 24, 32_768), (options.VocabularySize, options.HiddenSize, options.Layers.Count, options.MaxPositions));
        Assert.Equal(new AttentionOptions { HeadCount = 32, KeyValueHeadCount = 4, HeadSize = 64, RopeTheta = 10_000 }, options.Attention);
        Assert.Equal(new RouterOptions { ExpertCount = 128, TopK = 8, Renormalize = Renormalization.Never }, moe.Router);
        Assert.Equal(768, moe.Experts.IntermediateSize);
        Assert.Equal((1e-6, 0.02, 0.001, false), (options.RmsNormEpsilon, options.InitializerRange, options.LoadBalanceCoefficient, options.TieEmbeddings));
        Assert.Null(options.EndOfTextId);
    }

    [Theory]
    [InlineData(1, "[]", "MMMMMM")]
    [InlineData(2, "[]", "DMDMDM")]
    [InlineData(3, "[5]", "DDMDDD")]
    [InlineData(1, "[0, 4]", "DMMMDM")]
    [InlineData(7, "[]", "DDDDDD")]
    [InlineData(1, "null", "MMMMMM")]
    public void Qwen3MoeConfig_SparseStepAndMlpOnlyLayers_DecideTheLayers(int step, string denseLayers, string expected)
    {
        var options = Read($$"""{"model_type": "qwen3_moe", "num_hidden_layers": 6, "decoder_sparse_step": {{step}}, "mlp_only_layers": {{denseLayers}}, "intermediate_size": 10}""");

        Assert.Equal(expected, string.Concat(options.Layers.Select(layer => layer is MlpOptions.Dense(10) ? 'D' : 'M')));
    }

    [Theory]
    [InlineData("num_experts", "\"4\"", "num_experts is \"4\"; expected a whole number from 1 to 65536.")]
    [InlineData("num_experts", "true", "num_experts is true; expected a whole number from 1 to 65536.")]
    [InlineData("num_experts", "4.0", "num_experts is 4.0; expected a whole number from 1 to 65536.")]
    [InlineData("num_experts", "0", "num_experts is 0; expected a whole number from 1 to 65536.")]
    [InlineData("num_experts", "null", "num_experts is null; expected a whole number from 1 to 65536.")]
    [InlineData("num_experts", "7", "num_experts_per_tok is absent, which means 8, but there are 7 experts.")]
    [InlineData("num_experts_per_tok", "129", "num_experts_per_tok is 129, but there are 128 experts.")]
    [InlineData("num_hidden_layers", "2000000000", "num_hidden_layers is 2000000000; expected a whole number from 1 to 10000.")]
    [InlineData("hidden_size", "9223372036854775808", "hidden_size is 9223372036854775808; expected a whole number from 1 to 1048576.")]
    [InlineData("rms_norm_eps", "\"1e-6\"", "rms_norm_eps is \"1e-6\"; expected a number above 0.")]
    [InlineData("rms_norm_eps", "1e999", "rms_norm_eps is 1e999; expected a number above 0.")]
    [InlineData("router_aux_loss_coef", "-0.1", "router_aux_loss_coef is -0.1; expected a number of at least 0.")]
    [InlineData("norm_topk_prob", "1", "norm_topk_prob is 1; expected true or false.")]
    [InlineData("mlp_only_layers", "[0.5]", "mlp_only_layers is [0.5]; expected a list of whole numbers.")]
    [InlineData("num_key_value_heads", "5", "num_key_value_heads is 5, but it must divide the 32 of num_attention_heads.")]
    [InlineData("head_dim", "3", "head_dim is 3; expected an even number, because rotary positions turn pairs.")]
    [InlineData("hidden_act", "\"gelu\"", "hidden_act is \"gelu\", which is not supported; expected \"silu\".")]
    [InlineData("rope_scaling", "{\"type\": \"yarn\"}", "rope_scaling.type is \"yarn\", which is not supported; expected \"default\".")]
    [InlineData("rope_scaling", "{\"factor\": 2}", "rope_scaling.factor is 2, which is not supported; expected no such key here.")]
    [InlineData("rope_parameters", "[]", "rope_parameters is []; expected an object.")]
    [InlineData("partial_rotary_factor", "0.5", "partial_rotary_factor is 0.5, which is not supported; expected 1.")]
    [InlineData("layer_types", "[\"sliding_attention\"]", "layer_types is [\"sliding_attention\"], which is not supported; expected \"full_attention\" for every layer.")]
    [InlineData("is_causal", "false", "is_causal is false, which is not supported; expected true.")]
    [InlineData("pruned_heads", "{\"0\": [1]}", "pruned_heads is {\"0\": [1]}, which is not supported; expected none.")]
    [InlineData("quantization_config", "{}", "quantization_config is {}, which is not supported; expected weights that are not quantized.")]
    [InlineData("eos_token_id", "\"2\"", "eos_token_id is \"2\"; expected a whole number from -2147483648 to 2147483647.")]
    [InlineData("nested", "{\"a\": [{\"b\": 1, \"b\": 2}]}", "nested.a.[].b is given twice.")]
    [InlineData("model_type", "\"qwen3_moe\"", "model_type is given twice.")]
    public void Qwen3MoeConfig_WrongValue_IsToldExactly(string key, string value, string message)
    {
        string path = Write($$"""{"model_type": "qwen3_moe", "{{key}}": {{value}}}""");

        var e = Assert.Throws<CheckpointException>(() => Qwen3MoeConfig.Read(path));

        Assert.Equal($"{path}: {message}", e.Message);
    }

    [Theory]
    [InlineData("""{"model_type": "mixtral"}""", "model_type is \"mixtral\", which is not supported; expected \"qwen3_moe\".")]
    [InlineData("{}", "model_type is absent; expected \"qwen3_moe\".")]
    [InlineData("[]", "The config is []; expected an object.")]
    [InlineData("""{"model_type": "moesharp_qwen3_moe"}""", "model_type is \"moesharp_qwen3_moe\", but moesharp_layer is absent; only \"moesharp_qwen3_moe\" has that key.")]
    [InlineData("""{"model_type": "qwen3_moe", "moesharp_layer": {"hidden_size": 2048, "expert_size": 768, "num_experts": 128, "top_k": 8}}""", "model_type is \"qwen3_moe\", but moesharp_layer is there; only \"moesharp_qwen3_moe\" has that key.")]
    [InlineData("""{"model_type": "moesharp_qwen3_moe", "moesharp_layer": {"hidden_size": 2048, "expert_size": 768, "num_experts": 64, "top_k": 8}}""", "moesharp_layer has (hidden size, experts, experts per token, expert size) = (2048, 64, 8, 768), the other keys (2048, 128, 8, 768); they must agree.")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": 8, "num_local_experts": 16}""", "num_experts is 8 but num_local_experts is 16; they must agree.")]
    [InlineData("""{"model_type": "qwen3_moe", "rope_theta": 10, "rope_parameters": {"rope_theta": 20.5}}""", "rope_theta is 10 but rope_parameters.rope_theta is 20.5; they must agree.")]
    [InlineData("""{"model_type": "qwen3_moe", "use_sliding_window": true, "sliding_window": 8}""", "use_sliding_window is true, which is not supported; expected false: every layer attends to all positions.")]
    [InlineData("\uFEFF{}", "The file starts with a byte order mark, which JSON forbids. Save it as UTF-8 without one.")]
    public void Qwen3MoeConfig_ContradictionOrOtherFile_IsToldExactly(string json, string message)
    {
        string path = Write(json);

        var e = Assert.Throws<CheckpointException>(() => Qwen3MoeConfig.Read(path));

        Assert.Equal($"{path}: {message}", e.Message);
    }

    [Fact]
    public void Qwen3MoeConfig_ManyFaults_AreToldInOneMessage()
    {
        string path = Write("""{"model_type": ["qwen3_moe"], "num_experts": 4, "num_experts_per_tok": 5, "decoder_sparse_step": 0, "vocab_size": 1099511627776, "hidden_act": "relu"}""");

        var e = Assert.Throws<CheckpointException>(() => Qwen3MoeConfig.Read(path));

        Assert.Equal($"""
            {path}: 5 faults:
              - model_type is ["qwen3_moe"]; expected text.
              - hidden_act is "relu", which is not supported; expected "silu".
              - vocab_size is 1099511627776; expected a whole number from 2 to 16777216.
              - decoder_sparse_step is 0; expected a whole number from 1 to 2147483647.
              - num_experts_per_tok is 5, but there are 4 experts.
            """.ReplaceLineEndings(), e.Message);
    }

    [Theory]
    [InlineData("\"auto_map\": {\"AutoModel\": \"evil.Model\"}", "auto_map asks for code of its own, which is never run; the model is read as an ordinary Qwen3-MoE.")]
    [InlineData("\"attention_dropout\": 0.1", "attention_dropout is 0.1; training here drops no attention weights.")]
    [InlineData("\"mlp_only_layers\": [7, 24]", "mlp_only_layers names 24, but the layers are 0 to 23.")]
    [InlineData("\"eos_token_id\": [3, 4]", "eos_token_id lists 2 ids; the first, 3, is used.")]
    [InlineData("\"bos_token_id\": 151936", "bos_token_id is 151936, outside the vocabulary of 151936; it is left out.")]
    [InlineData("\"architectures\": [\"Qwen3MoeModel\"]", "architectures does not name Qwen3MoeForCausalLM; the model is read as one nevertheless.")]
    public void Qwen3MoeConfig_OddButHarmless_IsAWarning(string entry, string warning)
    {
        Qwen3MoeConfig.Read(Write($$"""{"model_type": "qwen3_moe", {{entry}}}"""), out var warnings);

        Assert.Equal([warning], warnings);
    }

    [Fact]
    public void Qwen3MoeConfig_UnknownKeys_ArePassedOver()
    {
        Qwen3MoeConfig.Read(Write("""{"model_type": "qwen3_moe", "transformers_version": "9", "_note": {"x": [1, null]}}"""), out var warnings);

        Assert.Empty(warnings);
    }

    [Fact]
    public void Qwen3MoeConfig_WrittenText_HasThePublishedKeysWithTheirTypes()
    {
        var options = Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.published.json"));
        var published = JsonNode.Parse(File.ReadAllText(Fixtures.Path("qwen3_moe", "config.published.json")))!.AsObject();

        var written = JsonNode.Parse(Qwen3MoeConfig.Write(options))!.AsObject();

        // Not part of the options, and without effect: how many layers a window would have, and the unused dense width.
        string[] without = ["max_window_layers", "rope_scaling", "intermediate_size"];
        Assert.All(published.Where(entry => !without.Contains(entry.Key)), entry => Assert.True(JsonNode.DeepEquals(entry.Value, written[entry.Key]), entry.Key));
        Assert.Equal(written.Select(entry => entry.Key).Order(StringComparer.Ordinal), written.Select(entry => entry.Key));
    }

    [Fact]
    public void Qwen3MoeConfig_WholeNumbersOfFloatKeys_AreWrittenAsFloats()
    {
        string text = Qwen3MoeConfig.Write(Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.json")) with { LoadBalanceCoefficient = 0, RmsNormEpsilon = 1 });

        Assert.Contains("\"router_aux_loss_coef\": 0.0,", text, StringComparison.Ordinal);
        Assert.Contains("\"rms_norm_eps\": 1.0,", text, StringComparison.Ordinal);
        Assert.Contains("\"rope_theta\": 1000000.0,", text, StringComparison.Ordinal);
        Assert.Contains("\"dtype\": \"float32\",", text, StringComparison.Ordinal);
        Assert.EndsWith("}\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Qwen3MoeConfig_OptionsOfAnotherFamily_AreRefusedInOneMessage()
    {
        var options = Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.json"));
        var moe = Assert.IsType<MlpOptions.Sparse>(options.Layers[0]).Moe;
        var sigmoid = new MlpOptions.Sparse(moe with { Router = moe.Router with { Score = ScoreFunction.Sigmoid, Scale = 2.5 }, Shared = new() { IntermediateSize = 4 } });

        var e = Assert.Throws<ArgumentException>(() => Qwen3MoeConfig.Write(options with { Layers = [sigmoid] }));

        Assert.Equal("""
            A qwen3_moe config cannot say this: DecoderOptions has 2 faults:
              - Router.Scale is 2.5; the family has 1.
              - Shared is set; the family has no shared expert.
            """.ReplaceLineEndings(), e.Message);
        Assert.Throws<ArgumentException>(() => Qwen3MoeConfig.Write(options with { Layers = [options.Layers[0], sigmoid] }));
        Assert.Throws<ArgumentException>(() => Qwen3MoeConfig.Write(options with { Layers = [new MlpOptions.Dense(4), new MlpOptions.Dense(5)] }));
    }

    [Fact]
    public void Qwen3MoeConfig_NumbersThatJsonCannotHold_AreRefusedBeforeWriting()
    {
        var options = Qwen3MoeConfig.Read(Fixtures.Path("qwen3_moe", "config.json")) with
        {
            RmsNormEpsilon = double.PositiveInfinity,
            InitializerRange = double.NaN,
            LoadBalanceCoefficient = double.PositiveInfinity,
            EndOfTextId = 96,
        };

        var e = Assert.Throws<ArgumentException>(() => Qwen3MoeConfig.Write(options with { Attention = options.Attention with { RopeTheta = double.PositiveInfinity } }));

        string[] named = ["RmsNormEpsilon", "InitializerRange", "LoadBalanceCoefficient", "EndOfTextId is 96; set it to a token of the vocabulary, 0..95, or to null.", "RopeTheta"];
        Assert.All(named, name => Assert.Contains(name, e.Message, StringComparison.Ordinal));
        Assert.Contains("5 faults", e.Message, StringComparison.Ordinal);
    }

    private DecoderOptions Read(string json) => Qwen3MoeConfig.Read(Write(json));

    private string Write(string json)
    {
        string path = _folder.File("config.json");
        File.WriteAllText(path, json);
        return path;
    }
}
