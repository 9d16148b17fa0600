using System.Collections;
using System.CommandLine;
using System.Reflection;
using MoeSharp.TestKit;
using MoeSharp.Training;

namespace MoeSharp.Cli.Tests;

/// <summary>From preset, file and options to what a run computes.</summary>
public sealed class ConfigurationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Train_PresetFileAndOption_TheLaterWins()
    {
        var file = _folder.File("options.json");
        File.WriteAllText(file, """{ "batch_size": 3, "steps": 7, "balance": "none", "model": { "expert_count": 16, "top_k": 4 } }""");

        var (options, _) = Started("--preset", "tiny", "--config", file, "--steps", "9", "--top-k", "3", "--tie-embeddings", "false", "--mlp-only-layers", "0", "--dense-size", "64");

        var tiny = TrainingPresets.Tiny;
        var expected = tiny with
        {
            BatchSize = 3,                                                                                                                              // the file's
            Balance = BalanceMode.None,
            Steps = 9,                                                                                                                                  // the option's, over the file's
            Model = tiny.Model with { ExpertCount = 16, TopK = 3, TieEmbeddings = false, MlpOnlyLayers = [0], DenseSize = 64 },
        };
        Assert.Equal(TrainingOptionsJson.Write(expected), TrainingOptionsJson.Write(options));
    }

    [Fact]
    public void Train_WithoutOptions_IsThePresetDefault()
    {
        var (options, run) = Started();

        Assert.Equal(TrainingPresets.Default, options);
        Assert.Empty(run.Data);
        Assert.Null(run.Tokenizer);
        Assert.Null(run.Threads);
        Assert.False(run.Resume);
    }

    [Fact]
    public void Train_Resume_HasTheOptionsDataTokenizerAndThreadsOfTheRun()
    {
        var file = ARun();
        File.WriteAllText(_folder.File(RunFile.FileName), file.ToJson());

        var (options, run) = Resumed();

        Assert.Equal(TrainingOptionsJson.Write(file.Options), TrainingOptionsJson.Write(options));
        Assert.Equal(file.Data, run.Data);
        Assert.Equal((_folder.Path, true, file.Tokenizer, 3), (run.Output, run.Resume, run.Tokenizer, run.Threads));
    }

    [Fact]
    public void Train_ResumeWithThreads_HasThose()
    {
        File.WriteAllText(_folder.File(RunFile.FileName), ARun().ToJson());

        Assert.Equal(1, Resumed("--threads", "1").Run.Threads);
    }

    [Fact]
    public void Train_Trace_ReachesFreshAndResumedRuns()
    {
        File.WriteAllText(_folder.File(RunFile.FileName), ARun().ToJson());

        Assert.Equal("run.trace", Started("--trace", "run.trace").Run.Trace);
        Assert.Equal("rest.trace", Resumed("--trace", "rest.trace").Run.Trace);
        Assert.Null(Started().Run.Trace);
    }

    [Fact]
    public void Settings_EveryPropertyOfTheOptions_HasExactlyOneOption()
    {
        var changed = TrainingSettings.Create().Select(setting => Assert.Single(ChangedBy(setting))).Order(StringComparer.Ordinal);

        var properties = Properties(typeof(TrainingOptions)).Where(name => name is not ("Model" or "Router"))
            .Concat(Properties(typeof(ModelShape)).Select(name => $"Model.{name}"))
            .Concat(Properties(typeof(RoutingShape)).Select(name => $"Router.{name}"));
        Assert.Equal(properties.Order(StringComparer.Ordinal), changed);
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void OptionsJson_WrittenAndLaidOverAnything_IsTheSameOptions(string preset)
    {
        var json = TrainingOptionsJson.Write(TrainingPresets.All[preset]);

        var read = TrainingOptionsJson.Overlay(TrainingPresets.Tiny, json, "written");

        Assert.Equal(json, TrainingOptionsJson.Write(read));
    }

    [Fact]
    public void RunFile_WrittenAndRead_IsTheSame()
    {
        var json = ARun().ToJson();
        File.WriteAllText(_folder.File(RunFile.FileName), json);

        Assert.Equal(json, RunFile.Read(_folder.Path).ToJson());
    }

    [Fact]
    public void FreeFolder_TakenNames_IsTheNextNumber()
    {
        Directory.CreateDirectory(_folder.File("default"));
        File.WriteAllText(_folder.File("default-2"), "");

        Assert.Equal(_folder.File("default-3"), TrainingConfiguration.FreeFolder(_folder.Path, "default"));
    }

    [Fact]
    public void Train_ModelLargerThanTheMemory_SaysBothSizesAndStartsNothing()
    {
        var error = Assert.Throws<MoeException>(() => TrainingConfiguration.RequireMemory(TrainingPresets.Qwen330BA3B, availableBytes: 64_000_000_000));

        Assert.Contains("488.51 GB", error.Message, StringComparison.Ordinal);
        Assert.Contains("64.00 GB", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string> Presets => [.. TrainingPresets.All.Keys];

    public void Dispose() => _folder.Dispose();

    private static RunFile ARun() => new()
    {
        Options = TrainingPresets.Tiny with { Steps = 11, Seed = 5, Model = TrainingPresets.Tiny.Model with { MlpOnlyLayers = [1], DenseSize = 20 } },
        Data = ["notes", "more notes"],
        Tokenizer = "my-tokenizer",
        Threads = 3,
        Versions = new Dictionary<string, string> { ["MoeSharp"] = "1.0" },
    };

    private (TrainingOptions Options, TrainingRun Run) Started(params string[] options) => Train(["--out", _folder.File("run"), .. options]);

    private (TrainingOptions Options, TrainingRun Run) Resumed(params string[] options) => Train(["--resume", _folder.Path, .. options]);

    private static (TrainingOptions Options, TrainingRun Run) Train(string[] options)
    {
        (TrainingOptions, TrainingRun)? seen = null;
        var tool = CapturedTool.Run(ScriptedTraining.Engine(1, (training, run) => seen = (training, run)), ["train", .. options]);

        Assert.True(tool.ExitCode == ExitCode.Success, tool.Error);
        return seen!.Value;
    }

    /// <summary>The properties that differ between the presets and what the setting makes of them; two values are tried, since one may be what is there.</summary>
    private static IEnumerable<string> ChangedBy(TrainingSetting setting) => SampleValues(setting.Option).SelectMany(value =>
    {
        var command = new RootCommand { setting.Option };
        return Differences(TrainingPresets.Default, setting.Apply(TrainingPresets.Default, command.Parse([setting.Option.Name, value])));
    }).Distinct();

    private static string[] SampleValues(Option option) => option.HelpName switch
    {
        "[true|false]" => ["true", "false"],
        "X" => ["0.123", "0.456"],
        "N" => ["77", "78"],
        "N,N" => ["1,2", "3"],
        var choices => choices!.Split('|'),
    };

    private static IEnumerable<string> Differences(TrainingOptions before, TrainingOptions after) =>
        Differences(typeof(TrainingOptions), before, after).Where(name => name is not ("Model" or "Router"))
            .Concat(Differences(typeof(ModelShape), before.Model, after.Model).Select(name => $"Model.{name}"))
            .Concat(Differences(typeof(RoutingShape), before.Router, after.Router).Select(name => $"Router.{name}"));

    private static IEnumerable<string> Differences(Type type, object before, object after) =>
        type.GetProperties().Where(property => !AreEqual(property.GetValue(before), property.GetValue(after))).Select(property => property.Name);

    private static bool AreEqual(object? a, object? b) => a is IList left && b is IList right ? left.Cast<object>().SequenceEqual(right.Cast<object>()) : Equals(a, b);

    private static IEnumerable<string> Properties(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(property => property.Name);
}
