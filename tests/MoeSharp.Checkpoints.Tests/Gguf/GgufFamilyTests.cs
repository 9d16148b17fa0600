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

        Assert.Contains("general.architecture is 'bert', which is no Mixture of Experts that is known; expected one of deepseek2, ", Assert.Throws<CheckpointException>(() => MoeCheckpoint.Open(path)).Message, StringComparison.Ordinal);
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
