using MoeSharp.TestKit;

namespace MoeSharp.Training.Tests;

/// <summary>A training run of a few steps on a small text, in a folder of its own.</summary>
internal sealed class TinyRun : IDisposable
{
    private readonly TemporaryFolder _root = new();

    public static TrainingOptions Options { get; } = new()
    {
        Model = TinyModel.Shape,
        Steps = 6,
        BatchSize = 2,
        SequenceLength = 16,
        LearningRate = 1e-2,
        WarmupSteps = 2,
        VocabularySize = 300,
        HeldOutShare = 0.2,
        EvaluateEvery = 2,
        EvaluateTokens = 64,
        CheckpointEvery = 2,
    };

    public TrainingRun Run => new() { Output = Folder, Data = [Fixtures.Path("tokenizer", "training")] };

    public string Folder => _root.File("run");

    public string File(params string[] parts) => Path.Combine([Folder, .. parts]);

    public TrainingSummary Train(TrainingOptions? options = null, bool isResumed = false, Action<TrainingEvent>? onEvent = null, CancellationToken stop = default) =>
        new Trainer(options ?? Options, Run with { Resume = isResumed }).Run(onEvent is null ? null : new Listener(onEvent), stop);

    /// <summary>Trains and asks to stop when a step is done.</summary>
    public StoppedException StopAfter(int step, TrainingOptions? options = null, bool isResumed = false)
    {
        using var stop = new CancellationTokenSource();
        return Assert.Throws<StoppedException>(() => Train(options, isResumed, e =>
        {
            if (e is StepCompleted done && done.Step == step) stop.Cancel();
        }, stop.Token));
    }

    /// <summary>The files whose bytes resuming must not change, by their names in the run's folder.</summary>
    public IReadOnlyDictionary<string, string> Bits() => Directory.EnumerateFiles(Folder, "*.safetensors", SearchOption.AllDirectories)
        .Concat([File("config.json"), File("tokenizer.json")])
        .ToDictionary(file => Path.GetRelativePath(Folder, file), file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.IO.File.ReadAllBytes(file))));

    public void Dispose() => _root.Dispose();

    private sealed class Listener(Action<TrainingEvent> hear) : IProgress<TrainingEvent>
    {
        public void Report(TrainingEvent value) => hear(value);
    }
}
