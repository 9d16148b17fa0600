using MoeSharp.Checkpoints;
using MoeSharp.TestKit;
using static TorchSharp.torch;

namespace MoeSharp.Training.Tests;

/// <summary>
/// tests/fixtures/trained-tiny: a checkpoint that the trainer wrote, with what the model computes, for anyone to load in transformers and compare.
/// To write it anew, set MOESHARP_UPDATE_FIXTURES=1 and run these tests.
/// </summary>
public sealed class TrainedTinyTests : IDisposable
{
    private const string Name = "trained-tiny";
    private const int Steps = 20;                       // another processor's products differ in the last bits, and training amplifies that: by 40 steps to what can be seen
    private const double TrainingTolerance = 0.01;
    private static readonly string[] Files = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", CaseVerifier.ExpectedFile];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Training_WithItsSeed_CreatesTheFixtureAgain()
    {
        using var scope = NewDisposeScope();
        string folder = TrainAgain();
        if (Environment.GetEnvironmentVariable("MOESHARP_UPDATE_FIXTURES") == "1") Update(folder);

        foreach (string file in Files.Where(file => file.EndsWith(".json", StringComparison.Ordinal))) Assert.Equal(File.ReadAllText(Fixtures.Path(Name, file)), File.ReadAllText(Path.Combine(folder, file)));
        using var before = SafetensorsFile.Open(Fixtures.Path(Name, "model.safetensors"));
        using var after = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        Assert.Equal(before.Tensors.Keys, after.Tensors.Keys);
        Assert.All(before.Tensors.Keys, name => Assert.InRange(Comparison.RelativeError(TensorMemory.Read(after, name), TensorMemory.Read(before, name)), 0, TrainingTolerance));
    }

    [Fact]
    public void Fixture_IsACaseThatHolds()
    {
        var report = CaseVerifier.Verify(Fixtures.Path(Name));

        Assert.DoesNotContain(report.Rows, row => !row.Passed);
        Assert.Contains(report.Rows, row => row.Tensor == "layers.1.moe.output");
        Assert.Contains(report.Rows, row => row.Tensor == "grad.model.layers.0.mlp.experts.0.down_proj.weight");
    }

    [Fact]
    public void Fixture_IsSmall() => Assert.InRange(Files.Sum(file => new FileInfo(Fixtures.Path(Name, file)).Length), 1, 400_000);

    public void Dispose() => _folder.Dispose();

    private string TrainAgain()
    {
        string folder = _folder.File("run");
        new Trainer(TrainingPresets.Tiny with { Seed = 7, VocabularySize = 384, Steps = Steps }, new() { Output = folder, Data = [Fixtures.Path("tokenizer", "training")], Threads = 1 }).Run(null, default);

        using var model = ModelCheckpoint.Load(folder);
        var tokens = randint(1, model.Options.VocabularySize, [2, 14], dtype: ScalarType.Int64, generator: new Generator(5));
        ModelCaseWriter.Write(model, tokens, Path.Combine(folder, CaseVerifier.ExpectedFile), Name);
        return folder;
    }

    private static void Update(string folder)
    {
        Directory.CreateDirectory(Fixtures.Path(Name));
        foreach (string file in Files) File.Copy(Path.Combine(folder, file), Fixtures.Path(Name, file), overwrite: true);
    }
}
