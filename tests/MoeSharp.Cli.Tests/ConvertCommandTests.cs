using System.Text.Json;
using MoeSharp.Checkpoints;
using MoeSharp.Checkpoints.Tests;
using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

/// <summary><c>moesharp convert</c> on small models.</summary>
public sealed class ConvertCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Convert_WithAProof_ShowsThatTheTargetIsTheSource()
    {
        var tool = CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.File("fused"), "--layout", "fused", "--prove");

        Assert.Equal((ExitCode.Success, ""), (tool.ExitCode, tool.Error));
        string[] lines = tool.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal($"21 tensors, 0.2 MB, in 1 file: {_folder.File("fused")}", lines[0]);
        Assert.Equal("kind    from  to   tensors  compared  different  largest difference  limit          verdict", lines[1]);
        Assert.Contains("gate    F32   F32       16     8,192          0                   0  the same bits  holds", lines);
        Assert.Equal($"The target is the source: {_folder.File("fused/conversion-proof.json")}", lines[^1]);
        Assert.True(File.Exists(_folder.File("fused/conversion-proof.json")));
    }

    [Fact]
    public void Convert_AsJson_PrintsOneObject()
    {
        var tool = CapturedTool.Run("convert", Model("deepseek_v3_fp8"), _folder.File("plain"), "--dtype", "bf16", "--shard-size", "100KB", "--prove", "--json");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        var json = JsonDocument.Parse(tool.Output).RootElement;
        Assert.True(json.GetProperty("conversion").GetProperty("is_dequantized").GetBoolean());
        Assert.Equal(Directory.GetFiles(_folder.File("plain"), "*.safetensors").Length, json.GetProperty("conversion").GetProperty("files").GetArrayLength());
        Assert.True(json.GetProperty("proof").GetProperty("passed").GetBoolean());
    }

    [Fact]
    public void Convert_AgainWithAProof_ProvesWhatIsThere()
    {
        CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.File("copy"));
        var other = CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.File("copy"), "--dtype", "bf16", "--prove");
        var same = CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.File("copy"), "--prove");

        Assert.Equal((ExitCode.Failure, ExitCode.Success), (other.ExitCode, same.ExitCode));
        Assert.Contains("in 1 file, 1 of them from a run before", same.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_OneLayer_WritesItAlone()
    {
        var tool = CapturedTool.Run("convert", Model("deepseek_v3"), _folder.File("layer"), "--layer", "1");

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        using var layer = MoeCheckpoint.Open(_folder.File("layer"));
        Assert.Equal([1], layer.MoeLayers);
    }

    [Fact]
    public void Convert_AGgufFile_IsProvedAndSaysWhatDoesNotComeAlong()
    {
        var file = new RawGguf().Value("general.architecture", "llama");
        (string, uint)[] sizes = [("embedding_length", 32), ("block_count", 1), ("attention.head_count", 2), ("expert_count", 2), ("expert_used_count", 1), ("feed_forward_length", 32), ("vocab_size", 8)];
        foreach (var (key, size) in sizes) file.Value($"llama.{key}", size);
        file.Tensor("blk.0.ffn_gate_inp.weight", GgufType.F32, [32, 2], new byte[256]);
        foreach (string role in (string[])["gate", "up", "down"]) file.Tensor($"blk.0.ffn_{role}_exps.weight", GgufType.Q8_0, [32, 32, 2], new byte[64 * 34]);

        var tool = CapturedTool.Run("convert", file.Write(_folder.File("model.gguf")), _folder.File("target"), "--prove");

        Assert.Equal((ExitCode.Success, ""), (tool.ExitCode, tool.Error));
        string[] lines = tool.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("The tokenizer of the GGUF file does not come along; take it from the model's own files.", lines[1]);
        Assert.StartsWith("The target is the source: ", lines[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--dtype", "int8", "--dtype is 'int8'; expected one of f16, bf16, f32.")]
    [InlineData("--layout", "stacked", "--layout is 'stacked'; expected one of keep, published, fused.")]
    [InlineData("--shard-size", "5 apples", "--shard-size is '5 apples'; expected a size such as 5GB or 500MB.")]
    [InlineData("--layer", "0", "Layer 0 is no Mixture of Experts; of the 2 layers these are: 1.")]
    [InlineData("--layer", "1,99", "Layer 99 is no Mixture of Experts; of the 2 layers these are: 1.")]
    [InlineData("--layer", "-1", "Layer -1 is no Mixture of Experts; of the 2 layers these are: 1.")]
    public void Convert_WhatCannotBe_IsWrongUsage(string option, string value, string message)
    {
        var tool = CapturedTool.Run("convert", Model("deepseek_v3"), _folder.File("target"), option, value);

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Equal($"{message}\n", tool.Error);
    }

    [Fact]
    public void Convert_Again_SaysThatItIsFinished()
    {
        CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.File("copy"));

        var tool = CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.File("copy"));

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Equal($"{_folder.File("copy")}: The target holds this conversion, finished: there is nothing to do. To hold it against the source, prove it (moesharp convert: --prove); to convert again, choose another folder, or empty it.\n", tool.Error);
    }

    [Fact]
    public void Convert_AFileThatIsNoModel_SaysThatAFolderIsExpected()
    {
        File.WriteAllText(_folder.File("notes.txt"), "These are notes.");

        var tool = CapturedTool.Run("convert", _folder.File("notes.txt"), _folder.File("target"));

        Assert.Equal((ExitCode.Failure, $"{_folder.File("notes.txt")}: This is a file; expected a folder with a model's config and weights, or a GGUF file.\n"), (tool.ExitCode, tool.Error));
    }

    [Fact]
    public void Convert_ToAFolderInUse_Fails()
    {
        File.WriteAllText(_folder.File("mine.txt"), "");

        var tool = CapturedTool.Run("convert", Model("mixtral_sharded"), _folder.Path);

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Single(tool.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    public void Dispose() => _folder.Dispose();

    private static string Model(string name) => Directory.Exists(Fixtures.Path("models", name)) ? Fixtures.Path("models", name) : Fixtures.Path(name);
}
