using System.Text.Json;
using MoeSharp.TestKit;
using MoeSharp.Training;

namespace MoeSharp.Cli.Tests;

public sealed class GenerateCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<(string Folder, string Prompt, SamplingOptions Options)> _calls = [];
    private readonly List<int> _threads = [];
    private readonly List<string> _traces = [];

    [Fact]
    public void Generate_Prompt_IsEchoedAndContinued()
    {
        var tool = Run("", "--prompt", "The");

        Assert.Equal((0, "The quick fox\n", ""), (tool.ExitCode, tool.Output, tool.Error));
        Assert.Equal((_folder.Path, "The", new SamplingOptions()), Assert.Single(_calls));
    }

    [Fact]
    public void Generate_PromptFromStandardInput_IsReadToItsEnd()
    {
        var tool = Run("two\nlines", "--prompt", "-");

        Assert.Equal("two\nlines quick fox\n", tool.Output);
    }

    [Fact]
    public void Generate_PromptThatLooksLikeAnOption_IsText()
    {
        var tool = Run("", "--prompt", "--steps");

        Assert.Equal("--steps quick fox\n", tool.Output);
    }

    [Fact]
    public void Generate_Options_ReachTheSampler()
    {
        Run("", "--prompt", "x", "--max-new-tokens", "5", "--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--seed", "7", "--no-cache", "--threads", "2");

        Assert.Equal(new SamplingOptions { MaxNewTokens = 5, Temperature = 0.5, TopK = 3, TopP = 0.9, Seed = 7, UseCache = false }, _calls[0].Options);
        Assert.Equal([2], _threads);
    }

    [Fact]
    public void Generate_Json_IsOneObjectWithoutAnIdForTheRestOfABrokenCharacter()
    {
        var tool = Run("", "--prompt", "Say \"ü\"", "--json");

        var json = JsonDocument.Parse(tool.Output).RootElement;
        Assert.Equal(["version", "prompt", "text", "token_ids", "tokens_per_second"], json.EnumerateObject().Select(field => field.Name));
        Assert.StartsWith("""{"version":1,"prompt":"Say \"ü\"","text":" quick fox","token_ids":[1,2],"tokens_per_second":""", tool.Output, StringComparison.Ordinal);
        Assert.True(json.GetProperty("tokens_per_second").GetDouble() > 0);
    }

    [Fact]
    public void Generate_Trace_ReachesTheGenerator()
    {
        Run("", "--prompt", "x", "--trace", _folder.File("text.trace"));

        Assert.Equal([_folder.File("text.trace")], _traces);
    }

    [Fact]
    public void Generate_TraceThatExists_IsReplacedOnlyWithForce()
    {
        string trace = _folder.File("text.trace");
        File.WriteAllText(trace, "mine");

        var refused = Run("", "--prompt", "x", "--trace", trace);
        var forced = Run("", "--prompt", "x", "--trace", trace, "--force");

        Assert.Equal((ExitCode.Failure, $"The trace {trace} exists. Replace it with --force, or give another file with --trace.\n"), (refused.ExitCode, refused.Error));
        Assert.Equal(ExitCode.Success, forced.ExitCode);
        Assert.Equal([trace], _traces);
    }

    [Fact]
    public void Generate_Traced_LeavesATraceOfTheModelThatCanBeRead()
    {
        string model = Fixtures.Path("trained-tiny"), trace = _folder.File("text.trace");

        var tool = CapturedTool.Run("generate", model, "--prompt", "The", "--max-new-tokens", "3", "--trace", trace);

        Assert.Equal(ExitCode.Success, tool.ExitCode);
        using var reader = RoutingTraceReader.Open(trace);
        Assert.Equal($"generate {model}", reader.Header.Source);
        Assert.Equal(3 * reader.Header.Layers.Count, reader.ReadEntries().Count());
    }

    [Fact]
    public void Generate_Failure_DoesNotRepeatThePrompt()
    {
        var engine = new Engine { Generate = (_, _, _, _, _) => Failing() };

        var tool = CapturedTool.Run(engine, "generate", _folder.Path, "--prompt", "a long prompt");

        Assert.Equal((ExitCode.Failure, "", "damaged\n"), (tool.ExitCode, tool.Output, tool.Error));

        static IEnumerable<GeneratedToken> Failing()
        {
            if (DateTime.UtcNow.Year > 0) throw new MoeException("damaged");
            yield break;
        }
    }

    [Theory]
    [InlineData(typeof(OutOfMemoryException), "no matter what", "There is not enough memory for what was asked. Choose fewer tokens, a smaller batch or a smaller model.")]
    [InlineData(typeof(InsufficientMemoryException), "No memory for 7 rows.", "No memory for 7 rows.")]
    [InlineData(typeof(System.Runtime.InteropServices.ExternalException), "DefaultCPUAllocator: can't allocate memory: you tried", "There is not enough memory for what was asked. Choose fewer tokens, a smaller batch or a smaller model.")]
    public void Generate_TooLittleMemory_IsAMessage(Type error, string message, string expected)
    {
        var engine = new Engine { Generate = (_, _, _, _, _) => throw (Exception)Activator.CreateInstance(error, message)! };

        var tool = CapturedTool.Run(engine, "generate", _folder.Path, "--prompt", "x");

        Assert.Equal((ExitCode.Failure, expected + "\n"), (tool.ExitCode, tool.Error));
    }

    [Fact]
    public void Generate_FolderThatDoesNotExist_Fails()
    {
        var tool = CapturedTool.Run("generate", "nowhere", "--prompt", "x");

        Assert.Equal(ExitCode.Failure, tool.ExitCode);
        Assert.Equal("There is no folder 'nowhere'. Give the folder of a model, such as the one that 'moesharp train' wrote.\n", tool.Error);
    }

    public void Dispose() => _folder.Dispose();

    private CapturedTool Run(string input, params string[] options)
    {
        var engine = new Engine
        {
            Generate = (folder, prompt, sampling, trace, _) =>
            {
                if (trace is not null) _traces.Add(trace);
                _calls.Add((folder, prompt, sampling));
                return [new(1, " quick", -0.1), new(2, " fo", -0.2), new(-1, "x", 0)];
            },
            UseThreads = _threads.Add,
        };
        return CapturedTool.Run(engine, input, terminal: null, ["generate", _folder.Path, .. options]);
    }
}
