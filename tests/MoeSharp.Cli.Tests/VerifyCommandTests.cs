using System.Text.Json;
using MoeSharp.TestKit;
using MoeSharp.Training;

namespace MoeSharp.Cli.Tests;

/// <summary><c>moesharp verify</c> on real cases of layers and routers, and <c>--export</c>.</summary>
public sealed class VerifyCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Verify_AFile_ShowsItsTensors()
    {
        string path = Fixtures.Path("router", "mcore_router_z_b2s12e8k3.case.safetensors");

        var tool = CapturedTool.Run("verify", path, "--verbose");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        Assert.StartsWith($"{path} (router): holds, 4 of 4 tensors\ntensor             shape       relative error   limit  verdict\noutput.probs       [2, 12, 8] ", tool.Output, StringComparison.Ordinal);
        Assert.EndsWith("1 case: 1 hold\n", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_FilesAndFolders_TakesEveryCaseInOrder()
    {
        foreach (string name in (string[])["b.case.safetensors", "a.case.safetensors", "inner/c.case.safetensors", "inner/model/expected.safetensors", "weights.safetensors"])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(name))!);
            File.WriteAllText(_folder.File(name), "");
        }

        var engine = new Engine { Verify = (path, _) => new(path, "layer", [], []) };
        var tool = CapturedTool.Run(engine, "verify", _folder.File("weights.safetensors"), _folder.Path, "--json");

        var paths = JsonDocument.Parse(tool.Output).RootElement.GetProperty("cases").EnumerateArray().Select(found => found.GetProperty("path").GetString());
        Assert.Equal(["weights.safetensors", "a.case.safetensors", "b.case.safetensors", "inner/c.case.safetensors", "inner/model"], paths.Select(path => Path.GetRelativePath(_folder.Path, path!).Replace('\\', '/')));
    }

    [Fact]
    public void Verify_ADamagedFileAmongOthers_IsUnreadableAndNamed()
    {
        string damaged = _folder.File("damaged.case.safetensors");
        File.WriteAllBytes(damaged, File.ReadAllBytes(Fixtures.Path("router", "mixtral_b2s11e8k3.case.safetensors"))[..500]);

        var tool = CapturedTool.Run("verify", damaged, Fixtures.Path("router", "mixtral_b2s11e8k3.case.safetensors"));

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.StartsWith($"{damaged}: ", Assert.Single(tool.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        Assert.EndsWith("2 cases: 1 hold, 1 unreadable\n", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_TensorCasesAmongOthers_AreComparedBitByBit()
    {
        File.Copy(Fixtures.Path("tensors", "ct_int8_channel_48x80.safetensors"), _folder.File("int8.safetensors"));
        File.Copy(Fixtures.Path("router", "mixtral_b2s11e8k3.case.safetensors"), _folder.File("router.case.safetensors"));
        File.Copy(Fixtures.Path("qwen3_moe", "model.safetensors"), _folder.File("model.safetensors"));       // no case

        var tool = CapturedTool.Run("verify", _folder.Path, Fixtures.Path("tensors", "scalars.safetensors"), "--json");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        var cases = JsonDocument.Parse(tool.Output).RootElement.GetProperty("cases").EnumerateArray().Select(found => found.GetProperty("report")).ToArray();
        Assert.Equal(["tensor", "router", "tensor"], cases.Select(report => report.GetProperty("kind").GetString()));
        Assert.Equal(["expected.weight", "expected.weight_bf16"], cases[0].GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("tensor").GetString()));
        Assert.All(cases[0].GetProperty("rows").EnumerateArray(), row => Assert.Equal((0, 0), (row.GetProperty("error").GetDouble(), row.GetProperty("limit").GetDouble())));
        Assert.Equal(14, cases[2].GetProperty("rows").GetArrayLength());
    }

    [Fact]
    public void Verify_OneWrongBitOfAWeight_Differs()
    {
        string path = _folder.File("wrong.safetensors");
        byte[] file = File.ReadAllBytes(Fixtures.Path("tensors", "ct_int8_channel_48x80.safetensors"));
        using (var whole = MoeSharp.Checkpoints.SafetensorsFile.Open(Fixtures.Path("tensors", "ct_int8_channel_48x80.safetensors"))) file[whole.Tensors["expected.weight"].Offset] ^= 1;
        File.WriteAllBytes(path, file);

        var tool = CapturedTool.Run("verify", path);

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.StartsWith($"{path} (tensor): DIFFERS in 1 of 2 tensors\n", tool.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gguf-q9_9", "gguf-q9_9")]
    [InlineData("pack-quantized", "mystery")]
    public void Verify_ATensorCaseOfAnUnknownFormat_IsUnreadableAndNamed(string format, string named)
    {
        string path = _folder.File("unknown.safetensors"), about = $$$"""{"format": "{{{format}}}", "quantization_config": {"quant_method": "mystery"}}""";
        MoeSharp.Checkpoints.SafetensorsWriter.Write(path, [new("expected.weight", MoeSharp.Checkpoints.TensorType.F32, [1], stream => stream.Write(new byte[4]))], new Dictionary<string, string> { ["case"] = about });

        var tool = CapturedTool.Run("verify", path);

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Contains(named, tool.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData]
    [InlineData("--router-only")]
    [InlineData("--seed", "7", "--batch", "3", "--sequence", "5")]
    public void Export_ThenVerify_Holds(params string[] options)
    {
        string path = _folder.File("own.case.safetensors");

        var export = CapturedTool.Run(["verify", "--export", path, .. options]);
        var verify = CapturedTool.Run("verify", path);

        Assert.Equal(ExitCode.Success, export.ExitCode);
        Assert.Equal($"Case written to {path}; moesharp verify {path} compares it.\n", export.Output);
        Assert.Equal(ExitCode.Success, verify.ExitCode);
        Assert.DoesNotContain("not checked", verify.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Export_OptionsOfALayer_AreThoseOfTheCase()
    {
        File.WriteAllText(_folder.File("layer.json"), """{ "hidden_size": 4, "expert_size": 3, "num_experts": 5, "top_k": 2, "router": { "score": "sigmoid" } }""");
        (ExampleCase Case, string Path)? wanted = null;

        var tool = CapturedTool.Run(new Engine { Export = (example, path) => wanted = (example, path) }, "verify", "--export", "own.case.safetensors", "--options", _folder.File("layer.json"), "--json");

        Assert.Equal("""{"version":1,"path":"own.case.safetensors"}""", tool.Output.TrimEnd());
        Assert.Equal((4, 5, ScoreFunction.Sigmoid), (wanted!.Value.Case.Options.HiddenSize, wanted.Value.Case.Options.Router.ExpertCount, wanted.Value.Case.Options.Router.Score));
    }

    [Theory]
    [InlineData("""{ "hidden_size": 4, "expert_size": 3, "num_experts": 5, "top_k": 6 }""", "TopK is 6 but there are 5 experts; set TopK to 1..5.")]
    [InlineData("""{ "hidden_size": 4, "expert_size": 3, "num_experts": 5, "topk": 2 }""", "topk")]
    [InlineData("""{ "hidden_size": 4, "expert_size": 3, "num_experts": 6, "top_k": 2, "dispatch": { "ragged_buffer": { "shards": 3, "factor": 1 } } }""", "2 sequences do not lie evenly on 3 shards")]
    public void Export_OptionsThatCannotBe_AreWrongUsage(string layer, string fault)
    {
        File.WriteAllText(_folder.File("layer.json"), layer);

        var tool = CapturedTool.Run("verify", "--export", _folder.File("own.case.safetensors"), "--options", _folder.File("layer.json"));

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Contains(fault, tool.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("own.case.safetensors")));
    }

    [Fact]
    public void Export_ToAFolderThatIsNotThere_FailsWithOneMessage()
    {
        var tool = CapturedTool.Run("verify", "--export", _folder.File("nowhere/own.case.safetensors"));

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Single(tool.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    public void Dispose() => _folder.Dispose();
}
