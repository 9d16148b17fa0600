using MoeSharp.TestKit;

namespace MoeSharp.Cli.Tests;

/// <summary>A wrong call starts nothing, exits with 2, and says in one line what is wrong.</summary>
public sealed class WrongUsageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static readonly Engine Idle = new()
    {
        Train = (_, _, _, _) => throw new InvalidOperationException("A wrong call started the training."),
        Generate = (_, _, _, _, _) => throw new InvalidOperationException("A wrong call started the generation."),
    };

    [Theory]
    [InlineData("train --stps 5", "Unknown option '--stps'. Did you mean '--steps'?")]
    [InlineData("train --data notes --balence bias", "Unknown option '--balence'. Did you mean '--balance'?")]
    [InlineData("train --zzzzzzzz", "Unknown option '--zzzzzzzz'.")]
    [InlineData("trian", "Unknown command 'trian'. Did you mean 'train'?")]
    [InlineData("tokenizer enocde x", "Unknown command 'enocde'. Did you mean 'encode'?")]
    [InlineData("", "Which command? moesharp has train, generate, verify, inspect, convert, trace, plot-load, tokenizer, bench, kernels, completions.")]
    [InlineData("tokenizer", "Which command? moesharp tokenizer has train, encode, decode.")]
    [InlineData("trace", "Which command? moesharp trace has show, stats, diff.")]
    [InlineData("train notes", "'notes' is one word too many. Usage: moesharp train [options]")]
    [InlineData("train --preset tinny", "Unknown preset 'tinny'. Did you mean 'tiny'?")]
    [InlineData("train --preset gigantic", "Unknown preset 'gigantic'. Presets: tiny, default, olmoe-1b-7b, qwen3-30b-a3b.")]
    [InlineData("kernels --dump matmul.bf16.avx512", "Unknown kernel 'matmul.bf16.avx512'. Did you mean 'matmul.bf16.avx512.asm'? Kernels with code to print: matmul.bf16.avx512.asm, outer.bf16.avx512.asm.")]
    [InlineData("kernels --dump matmul.f32.avx3", "Unknown kernel 'matmul.f32.avx3'. Did you mean 'matmul.f32.avx2'? Kernels with code to print: matmul.bf16.avx512.asm, outer.bf16.avx512.asm.")]
    [InlineData("kernels matmul.f32.avx2", "'matmul.f32.avx2' is one word too many. Usage: moesharp kernels [options]")]
    [InlineData("completions bsh", "Unknown shell 'bsh'. Did you mean 'bash'? Shells: bash, zsh, fish, pwsh, nushell.")]
    [InlineData("train -h", "Unknown option '-h'. Did you mean '--help'?")]
    [InlineData("-?", "Unknown option '-?'. Did you mean '--help'?")]
    [InlineData("inspect -h", "Unknown option '-h'. Did you mean '--help'?")]
    [InlineData("help train", "Unknown command 'help'. Did you mean '--help'?")]
    public void Run_UnknownWord_NamesItAndWhatMayBeMeant(string line, string message) => AssertRefused(message, Words(line));

    [Theory]
    [InlineData("train --steps", "--steps needs a value: --steps N.")]
    [InlineData("train --data", "--data needs a value: --data PATH....")]
    [InlineData("train --data --out r9", "--data needs a value: --data PATH....")]
    [InlineData("train --data --out=r9", "--data needs a value: --data PATH....")]
    [InlineData("train --data notes --data", "--data needs a value: --data PATH....")]
    [InlineData("train --data notes --data --quiet", "--data needs a value: --data PATH....")]
    [InlineData("train --tokenizer --preset tiny", "--tokenizer needs a value: --tokenizer FILE.")]
    [InlineData("train --preset tiny --steps 5 --preset", "--preset needs a value: --preset NAME.")]
    [InlineData("train --normalize-top-k maybe", "--normalize-top-k is 'maybe'; expected true or false.")]
    [InlineData("bench layer --pin=1", "--pin is '1'; expected true or false.")]
    [InlineData("train --steps 1 --steps 2 --steps 3", "--steps is given 3 times; expected once.")]
    [InlineData("train --steps ten", "--steps is 'ten'; expected a whole number.")]
    [InlineData("train --learning-rate 3e-3x", "--learning-rate is '3e-3x'; expected a number.")]
    [InlineData("train --learning-rate NaN", "--learning-rate is 'NaN'; expected a number.")]
    [InlineData("train --balance 1", "--balance is '1'; expected one of loss, bias, none.")]
    [InlineData("train --mlp-only-layers 0,x", "--mlp-only-layers is '0,x'; expected whole numbers such as 0,2,5.")]
    [InlineData("train --threads 0", "--threads is '0'; expected a whole number from 1 to 1024.")]
    [InlineData("bench layer --shape tiny,olmo", "--shape is 'tiny,olmo'; expected one or more of olmoe, qwen3-30b, dsv2-lite, mixtral-s, tiny.")]
    [InlineData("bench layer --pass backward", "--pass is 'backward'; expected one or more of forward, train.")]
    [InlineData("bench layer --dtype int8", "--dtype is 'int8'; expected one or more of fp32, bf16.")]
    [InlineData("generate model --prompt x --threads 100000", "--threads is '100000'; expected a whole number from 1 to 1024.")]
    [InlineData("bench layer --tokens 0", "--tokens is to be numbers from 1 to 1048576.")]
    [InlineData("bench layer --tokens 2000000000", "--tokens is to be numbers from 1 to 1048576.")]
    [InlineData("bench steps --tokens 2000000000", "--tokens is to be numbers from 1 to 1048576.")]
    [InlineData("bench layer --rounds 0", "--rounds is '0'; expected a whole number of 1 or more.")]
    [InlineData("trace show run.trace --tokens 7..0", "--tokens is '7..0'; expected a range such as 0..7.")]
    [InlineData("trace show run.trace --tokens 7", "--tokens is '7'; expected a range such as 0..7.")]
    [InlineData("trace show run.trace --limit -1", "--limit is '-1'; expected a whole number of 0 or more.")]
    [InlineData("inspect model --layer -1", "--layer is '-1'; expected a whole number of 0 or more.")]
    [InlineData("kernels --dump", "--dump needs a value: --dump NAME.")]
    [InlineData("kernels --dump matmul.bf16.avx512.asm --prefetch all", "--prefetch is 'all'; expected one of none, own, next.")]
    [InlineData("kernels --dump matmul.bf16.avx512.asm --rows 15", "--rows is '15', but the tiles of matmul.bf16.avx512.asm have 1 to 14 rows.")]
    [InlineData("generate model --prompt x --temperature -1", "--temperature is '-1'; expected a number from 0 to 100.")]
    [InlineData("generate model --prompt x --top-p 0", "--top-p is '0'; expected a number above 0 and up to 1.")]
    public void Run_MissingOrWrongValue_SaysWhatIsExpected(string line, string message) => AssertRefused(message, Words(line));

    [Theory]
    [InlineData("verify", "PATH... is missing. Usage: moesharp verify PATH... [options]")]
    [InlineData("inspect", "PATH is missing. Usage: moesharp inspect PATH [options]")]
    [InlineData("generate model", "--prompt TEXT is missing. Usage: moesharp generate FOLDER --prompt TEXT [options]")]
    [InlineData("generate", "FOLDER and --prompt TEXT are missing. Usage: moesharp generate FOLDER --prompt TEXT [options]")]
    [InlineData("trace diff", "A and B are missing. Usage: moesharp trace diff A B [options]")]
    [InlineData("completions", "SHELL is missing. Usage: moesharp completions SHELL [options]")]
    public void Run_MissingPart_NamesItAndShowsTheUsage(string line, string message) => AssertRefused(message, Words(line));

    [Theory]
    [InlineData("--steps 0", "Steps is 0; set it to 1 or more.")]
    [InlineData("--top-k 9", "Model.TopK is 9 but there are 4 experts; set it to 1..4.")]
    [InlineData("--top-k 9 --router-groups 3 --router-keep-groups 1", "GroupLimit.Groups is 3; it must divide the 4 experts evenly.")]
    [InlineData("--batch-size 100000000", "BatchSize 100000000 · SequenceLength 64 is more than 4194304 tokens at once; make the batch smaller, and Accumulation larger.")]
    [InlineData("--layers 2000000000 --hidden-size 2000000000", "Model.LayerCount is 2000000000; set it to 1..10000.")]
    [InlineData("--vocabulary-size 256", "VocabularySize is 256; set it to 257 or more (256 bytes and the end of text).")]
    public void Train_ValueThatCannotWork_SaysItsLimit(string options, string fault)
    {
        var tool = Refused(["train", "--preset", "tiny", .. Words(options)]);

        Assert.Contains(fault, tool.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "stps": 5 }""", "unknown field 'stps'. Did you mean 'steps'?")]
    [InlineData("""{ "model": { "expert_cuont": 5 } }""", "unknown field 'model.expert_cuont'. Did you mean 'model.expert_count'?")]
    [InlineData("""{ "steps": "five" }""", "'steps' is \"five\"; expected a whole number.")]
    [InlineData("""{ "balance": 1 }""", "'balance' is 1; expected one of \"loss\", \"bias\", \"none\".")]
    [InlineData("""{ "model": { "top_k": null } }""", "'model.top_k' is null; expected a whole number.")]
    [InlineData("[]", "expected a JSON object such as { \"steps\": 100 }.")]
    public void Train_WrongConfiguration_NamesFileAndField(string json, string fault)
    {
        var file = _folder.File("options.json");
        File.WriteAllText(file, json);

        AssertRefused($"{file}: {fault}", "train", "--config", file);
    }

    [Fact]
    public void Train_ConfigurationThatDoesNotExist_NamesTheFile() => AssertRefused("--config: there is no file 'none.json'.", "train", "--config", "none.json");

    [Theory]
    [InlineData("--steps 5", "--steps")]
    [InlineData("--out other --force", "--out, --force")]
    [InlineData("--config options.json", "--config")]
    [InlineData("--data notes", "--data")]
    [InlineData("--tokenizer other", "--tokenizer")]
    [InlineData("--preset tiny --json --threads 2 --verbose", "--preset")]
    public void Train_ResumeWithOptionsOfItsOwn_NamesThoseToLeaveOut(string options, string named) =>
        AssertRefused($"--resume continues a run with its own options; leave out {named} (only --trace, --threads, --json, --quiet and --verbose go with it).", ["train", "--resume", "run", .. Words(options)]);

    [Fact]
    public void Train_ResumeWithAnyHyperParameter_IsRefused()
    {
        foreach (var option in TrainingSettings.Create().Select(setting => setting.Option))
        {
            var value = option.HelpName == "X" ? "0.5" : option.HelpName == "[true|false]" ? "true" : option.HelpName!.Split('|')[0].Replace('N', '1');

            AssertRefused($"--resume continues a run with its own options; leave out {option.Name} (only --trace, --threads, --json, --quiet and --verbose go with it).", "train", "--resume", "run", option.Name, value);
        }
    }

    [Fact]
    public void Verify_PathThatDoesNotExist_NamesIt() => AssertRefused("There is no file or folder 'nowhere'.", "verify", "nowhere");

    [Fact]
    public void Inspect_PathThatDoesNotExist_NamesIt() => AssertRefused("There is no file or folder 'nowhere'.", "inspect", "nowhere");

    [Fact]
    public void Inspect_LayerThatTheModelDoesNotHave_SaysWhichThereAre() =>
        AssertRefused("--layer is '9', but the layers of the model are 0 to 0.", "inspect", Fixtures.Path("hostile", "folders", "shards_ok"), "--layer", "9");

    [Fact]
    public void Inspect_LayerOfAFile_IsRefused() =>
        AssertRefused("--layer shows a layer of a model, which is a folder or a GGUF file; a safetensors file by itself has none.", "inspect", Fixtures.Path("qwen3_moe", "model.safetensors"), "--layer", "0");

    [Fact]
    public void Inspect_LayerAndTensors_SaysThatOneIsEnough() =>
        AssertRefused("--layer shows the tensors of its layer; leave out --tensors.", "inspect", Fixtures.Path("qwen3_moe"), "--layer", "0", "--tensors");

    [Fact]
    public void Verify_FolderWithoutACase_SaysWhatACaseHas() =>
        AssertRefused($"'{_folder.Path}' holds no case: it has no file *.case.safetensors and no safetensors file that describes itself as a case, and no folder in it has an expected.safetensors.", "verify", _folder.Path);

    [Theory]
    [InlineData("verify cases --export own", "--export writes a case and verifies none; leave out 'cases'.")]
    [InlineData("verify cases --seed 3", "--seed goes with --export FILE, which is missing.")]
    [InlineData("verify --router-only", "--router-only goes with --export FILE, which is missing.")]
    [InlineData("verify --export own --options none.json", "--options: there is no file 'none.json'.")]
    [InlineData("verify --export own --batch 0", "--batch is '0'; expected a whole number of 1 or more.")]
    public void Verify_ExportCalledWrongly_SaysHow(string line, string message) => AssertRefused(message, Words(line));

    [Theory]
    [InlineData("kernels --rows 3", "--rows goes with --dump NAME, which is missing.")]
    [InlineData("kernels --prefetch own", "--prefetch goes with --dump NAME, which is missing.")]
    [InlineData("kernels --dump matmul.bf16.avx512.asm --json", "--dump prints machine code; leave out --json.")]
    [InlineData("kernels --dump matmul.f32.avx2", "matmul.f32.avx2 is C#, which the runtime compiles: run a program that uses it with DOTNET_JitDisasm='Tile Multiply' to see its code. Kernels with code to print: matmul.bf16.avx512.asm, outer.bf16.avx512.asm.")]
    public void Kernels_DumpCalledWrongly_SaysHow(string line, string message) => AssertRefused(message, Words(line));

    [Fact]
    public void Verify_ModelWithoutExpectedResults_IsUnreadableForThatReason()
    {
        File.Copy(Directory.EnumerateFiles(Fixtures.Path("qwen3_moe"), "config.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First(), _folder.File("config.json"));

        var tool = CapturedTool.Run("verify", _folder.Path);

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.StartsWith($"{_folder.Path}: UNREADABLE\n", tool.Output, StringComparison.Ordinal);
        Assert.Contains("expected.safetensors", Assert.Single(Lines(tool.Error)), StringComparison.Ordinal);
    }

    [Fact]
    public void Run_VerboseWrongUsage_ShowsWhereTheErrorCameFrom()
    {
        var tool = CapturedTool.Run("trian", "--verbose");

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Contains("   at MoeSharp.Cli.", tool.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertRefused(string message, params string[] args)
    {
        var isVerbose = args.Contains("--verbose");
        var error = Refused(args).Error;

        Assert.Equal(message, isVerbose ? Lines(error)[0] : error.TrimEnd('\n'));
    }

    private static CapturedTool Refused(params string[] args)
    {
        var tool = CapturedTool.Run(Idle, args);

        Assert.Equal(ExitCode.Usage, tool.ExitCode);
        Assert.Empty(tool.Output);
        if (!args.Contains("--verbose")) Assert.DoesNotContain("   at ", tool.Error, StringComparison.Ordinal);
        return tool;
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
