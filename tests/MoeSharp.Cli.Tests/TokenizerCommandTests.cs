using System.Text.Json;
using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

public sealed class TokenizerCommandTests : IDisposable
{
    private const string Text = "Experts are chosen by a router — größer, 東京 🙂\n\tand then combined.";

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void TrainEncodeDecode_GivesTheTextBack()
    {
        Assert.Equal($"700 tokens written to {_folder.Path}\n", Train().Output);

        var ids = Run("tokenizer", "encode", _folder.Path, "--text", Text).Output.TrimEnd('\n');

        Assert.Equal($"{Text}\n", Run("tokenizer", "decode", _folder.Path, "--ids", ids).Output);
        Assert.Equal($"{Text}\n", Run(["tokenizer", "decode", _folder.Path, "--ids", .. ids.Split(' ')]).Output);
        Assert.True(ids.Split(' ').Length < System.Text.Encoding.UTF8.GetByteCount(Text), "No two bytes became one token.");
    }

    [Fact]
    public void Encode_TextFromStandardInput_IsReadAsItIs()
    {
        Train();

        var given = CapturedTool.Run(new Engine(), Text, terminal: null, "tokenizer", "encode", _folder.Path, "--text", "-");

        Assert.Equal(Run("tokenizer", "encode", _folder.Path, "--text", Text).Output, given.Output);
    }

    [Theory]
    [InlineData("99999")]
    [InlineData("-1")]
    [InlineData("700")]
    public void Decode_IdThatIsNoToken_NamesItAndTheSizeOfTheVocabulary(string id)
    {
        Train();

        var tool = CapturedTool.Run("tokenizer", "decode", _folder.Path, "--ids", $"70,{id}");

        Assert.Equal((ExitCode.Usage, "", $"--ids has {id}, which is no token; the size of the vocabulary is 700.\n"), (tool.ExitCode, tool.Output, tool.Error));
    }

    [Fact]
    public void Train_TextThatGivesFewerTokens_SaysSo()
    {
        File.WriteAllText(_folder.File("text.txt"), "to be or not to be");

        var tool = Run("tokenizer", "train", "--data", _folder.File("text.txt"), "--vocabulary", "100000000", "--out", _folder.File("tokenizer"));

        Assert.Matches(@"^2\d\d tokens written to ", tool.Output);
        Assert.Equal("The text gave no more of the 100,000,000 tokens asked for: no pair of its tokens occurs twice.\n", tool.Error);
        Assert.Empty(Train().Error);
    }

    [Fact]
    public void Train_FolderWithATokenizer_IsReplacedOnlyWithForce()
    {
        Train();
        var before = File.GetLastWriteTimeUtc(_folder.File("tokenizer.json"));
        string[] again = ["tokenizer", "train", "--data", Fixtures.Path("tokenizer", "training"), "--vocabulary", "300", "--out", _folder.Path];

        var refused = CapturedTool.Run(again);

        Assert.Equal((ExitCode.Usage, ""), (refused.ExitCode, refused.Output));
        Assert.Equal($"{_folder.Path} holds a tokenizer, and a model that learned with it reads no other. Replace it with --force, or give another folder with --out.\n", refused.Error);
        Assert.Equal(before, File.GetLastWriteTimeUtc(_folder.File("tokenizer.json")));
        Assert.Equal($"300 tokens written to {_folder.Path}\n", Run([.. again, "--force"]).Output);
    }

    [Fact]
    public void Json_OfEachCommand_HasAVersionAndStableFields()
    {
        Assert.Equal(["version", "vocabulary_size", "fingerprint", "folder"], Fields(Train("--json")));
        Assert.Equal(["version", "ids"], Fields(Run("tokenizer", "encode", _folder.Path, "--text", "x", "--json")));
        Assert.Equal(["version", "text"], Fields(Run("tokenizer", "decode", _folder.Path, "--ids", "70", "--json")));
    }

    public void Dispose() => _folder.Dispose();

    private CapturedTool Train(params string[] options) =>
        Run(["tokenizer", "train", "--data", Fixtures.Path("tokenizer", "training"), "--vocabulary", "700", "--out", _folder.Path, .. options]);

    private static CapturedTool Run(params string[] args)
    {
        var tool = CapturedTool.Run(args);

        Assert.True(tool.ExitCode == ExitCode.Success, tool.Error);
        return tool;
    }

    private static IEnumerable<string> Fields(CapturedTool tool) => JsonDocument.Parse(tool.Output).RootElement.EnumerateObject().Select(field => field.Name);
}
