using MoeSharp.TestKit;

namespace MoeSharp.Checkpoints.Tests;

public sealed class GgufFamilyTests
{
    public static TheoryData<GgufCase> Cases => [.. GgufCases.All];

    [Theory, MemberData(nameof(Cases))]
    public void Open_AnArchitecture_GivesItsLayersAndWhatWasWritten(GgufCase each)
    {
        using var folder = new TemporaryFolder();
        var expected = GgufCases.Options(each);
        for (int way = 0; way < GgufFamily.Layout.Experts.Count; way++)
        {
            var experts = GgufFamily.Layout.Experts[way];
            if (way > 0 && expected.Experts.HasBias) continue;

            string path = GgufCases.Write(folder, each, expected, experts, out var written);
            using var checkpoint = MoeCheckpoint.Open(path);

            Assert.Empty(checkpoint.Warnings);
            Assert.Equal(each.Family, checkpoint.Model.Family);
            Assert.Equal(each.MoeLayers, checkpoint.MoeLayers);
            Assert.Equal(expected, ((MlpOptions.Sparse)checkpoint.Model.Layers[each.MoeLayers[^1]]).Moe);
            foreach (int index in each.MoeLayers) StoredAssert.Equal(written, checkpoint.Layer(index));
        }
    }

    [Fact]
    public void Open_AnUnknownArchitecture_IsRefusedByName()
    {
        using var folder = new TemporaryFolder();
        string path = new RawGguf().Value("general.architecture", "bert").Tensor("a", GgufType.F32, [1], new byte[4]).Write(folder.File("a.gguf"));

        Assert.Contains("general.architecture is 'bert', which is no Mixture of Experts that is known; expected one of dbrx, deepseek2, ", Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 160, 60, "deepseek_v2", 8, 3)]
    [InlineData(1, 64, 27, "deepseek_v2", null, null)]
    [InlineData(2, 256, 61, "deepseek_v3", 8, 4)]
    [InlineData(2, 256, 62, "deepseek_v3", 8, 4)]
    [InlineData(2, 384, 61, "deepseek_v3", null, null)]
    public void Read_AFileThatLeavesTheGroupsOut_HasThoseOfTheReleasedModel(int gating, int experts, int layers, string family, int? groups, int? kept)
    {
        using var folder = new TemporaryFolder();
        var model = Read(Deepseek(experts, layers).Value("deepseek2.expert_gating_func", (uint)gating).Write(folder.File("a.gguf")));

        var limit = model.Layers.OfType<MlpOptions.Sparse>().First().Moe.Router.GroupLimit;
        Assert.Equal((family, groups, kept), (model.Family, limit?.Groups, limit?.Keep));
    }

    [Theory]
    [InlineData("blk.1.exp_probs_b.bias", "deepseek_v3")]       // GLM-4.7-Flash
    [InlineData("blk.1.ffn_gate_inp.weight", "deepseek_v2")]
    public void Read_AFileThatDoesNotSayHowItScores_IsToldByTheBiasOfTheSelection(string tensor, string family)
    {
        using var folder = new TemporaryFolder();

        Assert.Equal(family, Read(Deepseek(64, 47).Tensor(tensor, GgufType.F32, [64], new byte[256]).Write(folder.File("a.gguf"))).Family);
    }

    [Fact]
    public void Read_Numbers_KeepTheirPointAndNoneStaysNone()
    {
        using var folder = new TemporaryFolder();
        using var file = GgufFile.Open(Deepseek(160, 60).Value("deepseek2.attention.kv_lora_rank", 4u).Value("deepseek2.attention.sliding_window", 0u).Write(folder.File("a.gguf")));

        var (_, _, _, config) = GgufConfig.Read(file, out _);

        Assert.Equal("16.0", config["routed_scaling_factor"]!.ToJsonString());
        Assert.True(config.TryGetPropertyValue("q_lora_rank", out var rank) && rank is null);
        Assert.False(config.ContainsKey("sliding_window"));
    }

    private static ModelDescription Read(string path)
    {
        using var file = GgufFile.Open(path);
        return GgufConfig.Read(file, out _).Model;
    }

    // the metadata of a file alone
    private static RawGguf Deepseek(int experts, int layers)
    {
        var file = new RawGguf().Value("general.architecture", "deepseek2").Tensor("token_embd.weight", GgufType.F32, [8, 12], new byte[8 * 12 * 4]);
        foreach (var (key, value) in ((string, int)[])
            [("embedding_length", 8), ("attention.head_count", 2), ("block_count", layers), ("expert_count", experts), ("expert_used_count", 2), ("expert_feed_forward_length", 4), ("feed_forward_length", 16), ("expert_shared_count", 1), ("leading_dense_block_count", 1), ("vocab_size", 12)])
            file.Value($"deepseek2.{key}", (uint)value);
        return file.Value("deepseek2.expert_weights_scale", GgufValueType.F32, BitConverter.GetBytes(16f));
    }

    [Fact]
    public void Open_ATensorMissing_IsNamed()
    {
        using var folder = new TemporaryFolder();
        var each = GgufCases.All[0];
        string path = GgufCases.Write(folder, each, GgufCases.Options(each), GgufFamily.Layout.Experts[0], out _, without: "blk.2.ffn_down_exps.weight");

        Assert.Equal($"{path}: Tensor 'blk.2.ffn_down_exps.weight' is missing.", Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(path)).Message);
    }
}
