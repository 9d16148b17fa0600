using System.Runtime.Versioning;
using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

public sealed class InspectCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>The paths of tests/fixtures/hostile with their verdicts: ok, warn or reject.</summary>
    public static TheoryData<string, string> Hostile
    {
        get
        {
            var root = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("hostile", "manifest.json"))).RootElement;
            var data = new TheoryData<string, string>();
            foreach (var entry in root.GetProperty("files").EnumerateArray()) data.Add(Text(entry, "file"), entry.GetProperty("valid").GetBoolean() && !entry.GetProperty("strict").GetBoolean() ? "ok" : "reject");
            foreach (var entry in root.GetProperty("quant").EnumerateArray()) data.Add(Text(entry, "file"), Text(entry, "verdict"));
            foreach (var entry in root.GetProperty("folders").EnumerateArray()) data.Add(Text(entry, "folder"), Text(entry, "verdict"));
            return data;

            static string Text(JsonElement entry, string name) => entry.GetProperty(name).GetString()!;     // the manifest has them all
        }
    }

    [Theory, MemberData(nameof(Hostile))]
    public void Inspect_HostilePath_GetsItsVerdict(string name, string verdict)
    {
        string path = Fixtures.Path("hostile", name);

        var tool = CapturedTool.Run("inspect", path);

        if (verdict == "reject")
        {
            Assert.Equal((ExitCode.Failure, ""), (tool.ExitCode, tool.Output));
            Assert.StartsWith(path, tool.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", tool.Error, StringComparison.Ordinal);
            return;
        }

        Assert.Equal((ExitCode.Success, ""), (tool.ExitCode, tool.Error));
        Assert.StartsWith(path, tool.Output, StringComparison.Ordinal);
        Assert.Equal(verdict == "warn", tool.Output.Contains("\nwarning: ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("deepseek_v3_fp8")]
    [InlineData("gpt_oss_published")]
    [InlineData("minimax_m2_published")]
    public void Inspect_AModel_IsItsSnapshot(string model) => Snapshot.Assert($"inspect-{model}.txt", Shown("inspect", Fixtures.Path("models", model)));

    [Theory]
    [InlineData("deepseek_v3_fp8", 0)]
    [InlineData("deepseek_v3_fp8", 1)]
    [InlineData("gpt_oss_published", 0)]
    public void Inspect_ALayer_IsItsSnapshot(string model, int layer) => Snapshot.Assert($"inspect-{model}-layer-{layer}.txt", Shown("inspect", Fixtures.Path("models", model), "--layer", $"{layer}"));

    [Fact]
    public void Inspect_AFile_IsItsSnapshot() => Snapshot.Assert("inspect-file.txt", Shown("inspect", Fixtures.Path("models", "deepseek_v3_fp8", "model.safetensors")));

    [Fact]
    public void Inspect_TensorsOfAModel_ListsEveryOneOnce()
    {
        string path = Fixtures.Path("models", "minimax_m2_published");

        var lines = Shown("inspect", path, "--tensors").Split('\n', StringSplitOptions.RemoveEmptyEntries);

        using var file = MoeSharp.Checkpoints.SafetensorsFile.Open(Path.Combine(path, "model.safetensors"));
        Assert.Equal(file.Tensors.Keys, lines.Skip(1).Select(line => line.Split(' ')[0]));
    }

    [Fact]
    public void Inspect_Json_AddsUp()
    {
        var json = Json("inspect", Fixtures.Path("models", "deepseek_v3_fp8"), "--json");
        var tensors = Json("inspect", Fixtures.Path("models", "deepseek_v3_fp8"), "--tensors", "--json").GetProperty("tensors").EnumerateArray().ToArray();

        long Sum(string field) => json.GetProperty("kinds").EnumerateArray().Sum(kind => kind.GetProperty("totals").GetProperty(field).GetInt64());
        long unused = tensors.Where(tensor => tensor.GetProperty("kind").GetString() == "extras").Sum(tensor => tensor.GetProperty("parameters").GetInt64());
        Assert.Equal((1, "deepseek_v3"), (json.GetProperty("version").GetInt32(), json.GetProperty("family").GetString()));
        Assert.Equal((json.GetProperty("totals").GetProperty("bytes").GetInt64(), json.GetProperty("parameters").GetInt64()), (Sum("bytes"), Sum("parameters") - unused));
        Assert.Equal((Sum("bytes"), Sum("parameters")), (tensors.Sum(tensor => tensor.GetProperty("bytes").GetInt64()), tensors.Sum(tensor => tensor.GetProperty("parameters").GetInt64())));
        Assert.True(json.GetProperty("active_parameters").GetInt64() < json.GetProperty("parameters").GetInt64());
    }

    [Fact]
    public void Inspect_JsonOfALayer_HasTheOptionsAsCasesWriteThem()
    {
        var json = Json("inspect", Fixtures.Path("models", "deepseek_v3_fp8"), "--layer", "1", "--json");

        var options = MoeOptionsJson.Read(json.GetProperty("moe").GetProperty("options"), "the output");
        Assert.Equal((ScoreFunction.Sigmoid, true), (options.Router.Score, options.Router.HasCorrectionBias));
        Assert.Contains(json.GetProperty("tensors").EnumerateArray(), tensor => tensor.GetProperty("name").GetString() == "model.layers.1.mlp.experts.{e}.gate_proj.weight" && tensor.GetProperty("type").GetString() == "F8_E4M3");
    }

    [Fact]
    public void Inspect_TheSameModelAsShards_HasTheSameParameters()
    {
        var (whole, shards) = (Json("inspect", Fixtures.Path("hostile", "folders", "shards_and_single"), "--json"), Json("inspect", Fixtures.Path("hostile", "folders", "shards_ok"), "--json"));

        Assert.Equal((1, 2), (whole.GetProperty("files").GetArrayLength(), shards.GetProperty("files").GetArrayLength()));
        Assert.Equal(whole.GetProperty("parameters").GetInt64(), shards.GetProperty("parameters").GetInt64());
    }

    [Fact]
    public void Inspect_AFolderWithoutAConfig_SaysThatItIsMissing()
    {
        File.Copy(Fixtures.Path("models", "gpt_oss_published", "model.safetensors"), _folder.File("model.safetensors"));

        var tool = CapturedTool.Run("inspect", _folder.Path);

        Assert.Equal((ExitCode.Failure, ""), (tool.ExitCode, tool.Output));
        Assert.Equal($"{_folder.Path}: The folder has no config.json, which says what the model is. Fetch it too, or name one of the folder's files.\n", tool.Error);
    }

    [Fact, UnsupportedOSPlatform("windows")]
    public void Inspect_AFolderWithoutAccess_DoesNotSayThatTheConfigIsMissing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess, "Permissions do not hold here.");
        string folder = Directory.CreateDirectory(_folder.File("closed")).FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), "{}");
        File.SetUnixFileMode(folder, UnixFileMode.None);

        var tool = CapturedTool.Run("inspect", folder);

        File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute); // so that it can be deleted
        Assert.Equal((ExitCode.Failure, $"{folder}: Access to config.json is denied. Ask for the right to read the folder and its files.\n"), (tool.ExitCode, tool.Error));
    }

    [Fact]
    public void Inspect_AFileThatIsNoSafetensors_FailsWithOneMessage()
    {
        File.WriteAllText(_folder.File("notes.txt"), "These are notes.");

        var tool = CapturedTool.Run("inspect", _folder.File("notes.txt"));

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.StartsWith(_folder.File("notes.txt"), Assert.Single(tool.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static string Shown(params string[] args)
    {
        var tool = CapturedTool.Run(args);

        Assert.Equal((ExitCode.Success, ""), (tool.ExitCode, tool.Error));
        return tool.Output.Replace(Fixtures.RepositoryRoot + Path.DirectorySeparatorChar, "", StringComparison.Ordinal).Replace('\\', '/');
    }

    private static JsonElement Json(params string[] args) => JsonDocument.Parse(Shown(args)).RootElement;
}
