using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

/// <summary>Files as Mistral, Meta and OpenAI publish them beside those of Hugging Face.</summary>
public sealed class NativeFilesTests
{
    private const string Mistral = """{"dim": 8, "n_layers": 4, "n_heads": 2, "n_kv_heads": 1, "head_dim": 4, "hidden_dim": 4, "norm_eps": 1e-05, "vocab_size": 12, "moe": {"num_experts": 6, "num_experts_per_tok": 2}}""";
    private const string OldMistral = """{"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 4, "vocab_size": 12, "num_local_experts": 6, "num_experts_per_tok": 2}""";
    private const string Meta = """{"dim": 8, "n_layers": 4, "n_heads": 2, "vocab_size": 12, "ffn_exp": 4.0, "ffn_dim_multiplier": 1.0, "multiple_of": 2, "norm_eps": 1e-05, "moe_args": {"num_experts": 6, "top_k": 1, "capacity_factor": 1.0, "auto_scale_F": true, "interleave_moe_layer_step": 2}}""";

    public static TheoryData<string, string, int, int> Params => new()
    {
        { "mixtral", Mistral, 1, 4 },
        { "mixtral", OldMistral, 2, 4 },
        { "llama4", Meta, 1, 10 },      // 2/3 of 4 · 8 is 21, half of it 10
    };

    [Theory, MemberData(nameof(Params))]
    public void Open_AFolderWithParams_GivesWhatWasWritten(string family, string config, int layout, int width)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("params.json"), config);
        var model = ModelConfig.Read(folder.File("params.json"), out _);
        var of = ModelFamilies.Find(family)!.Layouts[layout];
        var written = new WrittenCheckpoint(model, new LayerPlace(of, "layers.{l}."), of.Experts[0], of.Shared.Count > 0 ? of.Shared[0] : null);
        written.Fill();
        written.Write(folder, config, "params.json", "consolidated.safetensors");

        using var checkpoint = MoeCheckpoint.Open(folder.Path);

        Assert.Equal(family, checkpoint.Model.Family);
        Assert.Equal(width, checkpoint.Layer(1).Options.Experts.IntermediateSize);
        foreach (int index in checkpoint.MoeLayers) StoredAssert.Equal(written, checkpoint.Layer(index));
    }

    [Fact]
    public void Read_AMoeOfMistralWithKeysThatAreNotKnown_NamesThem()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("params.json"), Mistral.Replace("\"num_experts\": 6", "\"num_experts\": 6, \"routed_scale\": 2", StringComparison.Ordinal));

        Assert.Contains("moe has 'routed_scale', which is not supported", Assert.Throws<CheckpointException>(() => ModelConfig.Read(folder.File("params.json"), out _)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_OpenAIsOwnFiles_GiveTheSameExpertsAsThoseOfHuggingFace()
    {
        using var folder = new TemporaryFolder();
        using var published = MoeCheckpoint.Open(Fixtures.Path("models", "gpt_oss_published"));
        TensorToWrite[] tensors = [.. published.Tensors.Tensors.Values.Select(info => new TensorToWrite(NativeName(info.Name), info.Type, info.Shape, stream => stream.Write(published.Tensors.Data(info.Name).Bytes(0, (int)info.ByteCount))))];
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        File.WriteAllText(folder.File("config.json"), """{"num_hidden_layers": 2, "num_experts": 6, "experts_per_token": 3, "vocab_size": 96, "hidden_size": 32, "intermediate_size": 32, "swiglu_limit": 7.0, "head_dim": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 6}""");

        using var native = MoeCheckpoint.Open(folder.Path);

        foreach (int index in published.MoeLayers)
        {
            var (ours, theirs) = (native.Layer(index), published.Layer(index));
            Assert.Equal(theirs.Options, ours.Options);
            Assert.Equal(Decoded(theirs.Expert(5).Up), Decoded(ours.Expert(5).Up));
            Assert.Equal(Decoded(theirs.Expert(0).Down), Decoded(ours.Expert(0).Down));
            Assert.Equal(theirs.Expert(1).Biases!.Gate, ours.Expert(1).Biases!.Gate);
        }
    }

    private static string NativeName(string name) => name
        .Replace("model.layers.", "block.", StringComparison.Ordinal).Replace("mlp.router", "mlp.gate", StringComparison.Ordinal)
        .Replace("mlp.experts.gate_up_proj_bias", "mlp.mlp1_bias", StringComparison.Ordinal).Replace("mlp.experts.down_proj_bias", "mlp.mlp2_bias", StringComparison.Ordinal)
        .Replace("mlp.experts.gate_up_proj_", "mlp.mlp1_weight.", StringComparison.Ordinal).Replace("mlp.experts.down_proj_", "mlp.mlp2_weight.", StringComparison.Ordinal);

    private static float[] Decoded(WeightMatrix matrix)
    {
        var values = new float[matrix.Rows * matrix.Columns];
        matrix.Decode(0, matrix.Rows, values);
        return values;
    }
}
