using MoeSharp.Checkpoints;
using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

public sealed class CaseVerifierTests
{
    [Fact]
    public void Verify_TheQwen3MoeCase_HoldsForBlocksAndWholeModel()
    {
        var report = CaseVerifier.Verify(Fixtures.Path("qwen3_moe"));

        Assert.Equal("model", report.Kind);
        Assert.DoesNotContain(report.Rows, row => !row.Passed);
        foreach (string tensor in (string[])["layers.1.moe.output", "layers.0.moe.expert_ids", "logits", "loss", "aux_loss", "greedy", "masked.logits", "masked.loss"])
            Assert.Contains(report.Rows, row => row.Tensor == tensor);
        Assert.Equal(62, report.Rows.Count(row => row.Tensor.StartsWith("grad.", StringComparison.Ordinal)));
        Assert.All(report.Rows, row => Assert.InRange(row.Limit, 0, row.Tensor.Contains(".moe.", StringComparison.Ordinal) ? 1e-5 : 1e-4));
        Assert.Equal(["attention_mask"], report.Skipped);
    }

    public static TheoryData<string> Models => [.. Directory.EnumerateDirectories(Fixtures.Path("models")).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    [Theory, MemberData(nameof(Models))]
    public void Verify_AModelOfAFamily_HoldsInEveryBlock(string name)
    {
        var report = CaseVerifier.Verify(Fixtures.Path("models", name));

        Assert.DoesNotContain(report.Rows, row => !row.Passed);
        Assert.Contains(report.Rows, row => row.Tensor == $"layers.{(name is "mistral4" or "qwen3_vl_moe_published" ? 0 : 1)}.moe.output");      // these have one layer
        Assert.All(report.Rows, row => Assert.InRange(row.Limit, 0, 1e-5));
        Assert.DoesNotContain(report.Skipped, tensor => tensor.Contains(".moe.", StringComparison.Ordinal));
    }

    [Fact]
    public void Verify_TheTrainingCase_HoldsAtEveryStepAndAtTheEnd()
    {
        var report = CaseVerifier.Verify(Fixtures.Path("qwen3_moe_adamw"));

        Assert.Equal("training", report.Kind);
        Assert.DoesNotContain(report.Rows, row => !row.Passed);
        Assert.Empty(report.Skipped);
        Assert.Equal(1e-5, Assert.Single(report.Rows, row => row.Tensor == "loss").Limit);
        Assert.Equal(69, report.Rows.Count(row => row.Tensor.StartsWith("final.", StringComparison.Ordinal)));
    }

    [Fact]
    public void Verify_PublishedKeys_GiveTheSameModel()
    {
        using var folder = CopyOf("qwen3_moe");
        File.Move(folder.File("config.published.json"), folder.File("config.json"), overwrite: true);

        Assert.True(CaseVerifier.Verify(folder.Path).Passed);
    }

    [Fact]
    public void Verify_AModelThatDoesNotRunWhole_HoldsInItsBlocksAndSkipsTheRest()
    {
        using var folder = CopyOf("qwen3_moe");
        string config = File.ReadAllText(folder.File("config.json"));
        File.WriteAllText(folder.File("config.json"), config.Insert(config.LastIndexOf('}'), """, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}"""));

        var report = CaseVerifier.Verify(folder.Path);

        Assert.True(report.Passed);
        Assert.Contains(report.Rows, row => row.Tensor == "layers.1.moe.output");
        Assert.Contains("logits", report.Skipped);
    }

    [Fact]
    public void Verify_AChangedOption_Fails()
    {
        using var folder = CopyOf("qwen3_moe");
        string config = File.ReadAllText(folder.File("config.json"));
        File.WriteAllText(folder.File("config.json"), config.Replace("\"norm_topk_prob\": true", "\"norm_topk_prob\": false", StringComparison.Ordinal));

        var report = CaseVerifier.Verify(folder.Path);

        Assert.False(report.Passed);
        Assert.Contains(report.Rows, row => row is { Tensor: "layers.0.moe.weights", Passed: false });
        Assert.Contains(report.Rows, row => row is { Tensor: "layers.0.moe.router_logits", Passed: true });
    }

    [Fact]
    public void Verify_AFolderWithoutExpectedValues_SaysWhatIsMissing()
    {
        using var folder = new TemporaryFolder();

        var error = Assert.Throws<CheckpointException>(() => CaseVerifier.Verify(folder.Path));

        Assert.Equal($"{folder.Path}: There is no expected.safetensors; give the folder of a model case or of a training case.", error.Message);
    }

    [Theory]
    [InlineData("""{"kind": "training", "steps": 1, "optimizer": {"kind": "sgd"}}""", "optimizer.kind is 'sgd'; only 'adamw' is supported.")]
    [InlineData("""{"kind": "training"}""", "The description of the training case is incomplete")]
    [InlineData("""[1]""", "The metadata 'case' is not a JSON object.")]
    [InlineData("""{""", "The metadata 'case' is not JSON")]
    public void Verify_ADescriptionThatIsNotSupported_IsNamed(string about, string message)
    {
        using var folder = CopyOf("qwen3_moe_adamw");
        SafetensorsWriter.Write(folder.File("expected.safetensors"), [], new Dictionary<string, string> { ["case"] = about });

        var error = Assert.Throws<CheckpointException>(() => CaseVerifier.Verify(folder.Path));

        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    private static TemporaryFolder CopyOf(string fixture)
    {
        var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(Fixtures.Path(fixture))) File.Copy(file, folder.File(Path.GetFileName(file)));
        return folder;
    }
}
