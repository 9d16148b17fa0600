using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// Trains a language model from text to a Hugging Face folder: data, tokenizer, steps, held-out measurements, checkpoints, summary. A run
/// that was stopped or killed resumes with the same bits as an unbroken one (same machine, same threads).
/// </summary>
public sealed class Trainer
{
    private readonly TrainingOptions _options;
    private readonly TrainingRun _run;

    /// <summary>Prepares a run; nothing is read or written yet.</summary>
    /// <param name="options">What to compute. When <see cref="TrainingRun.Resume"/>, give what <see cref="RunFile.Read"/> returns.</param>
    /// <param name="run">Where to read and write.</param>
    /// <exception cref="ArgumentException">One message that lists all faults of the options, or a number of threads that is none.</exception>
    public Trainer(TrainingOptions options, TrainingRun run)
    {
        options.Validate();
        if (run.Threads is < 1 or > WorkerPool.MostThreads) throw new ArgumentException($"Threads is {run.Threads}; set it to 1..{WorkerPool.MostThreads}, or to null for one per processor.", nameof(run));
        _options = options;
        _run = run;
    }

    /// <summary>Runs to the last step and writes the model, its tokenizer and <c>summary.json</c>.</summary>
    /// <param name="progress">Hears what happens, on this thread.</param>
    /// <param name="stop">Asks the run to finish its step, write a checkpoint and throw <see cref="StoppedException"/>.</param>
    /// <exception cref="MoeException">Data, folder or checkpoint are not usable, or the loss diverged; checkpoints stay as they were.</exception>
    /// <exception cref="StoppedException">The run was stopped and can be resumed.</exception>
    public TrainingSummary Run(IProgress<TrainingEvent>? progress, CancellationToken stop)
    {
        Reproducibility.Enable();
        int threads = _run.Threads ?? Environment.ProcessorCount;
        ComputeThreads.Use(threads);
        ComputeThreads.CheckEnvironment();
        using var scope = NewDisposeScope();

        if (_run.Trace is { } trace) CheckTrace(trace);
        using var folder = _run.Resume ? RunFolder.Open(_run.Output) : RunFolder.Create(_run.Output, _run.Force);
        using var text = TrainingText.Prepare(_options, _run, progress, stop);
        if (!_run.Resume) folder.Begin(new RunFile { Options = _options, Data = _run.Data, Tokenizer = _run.Tokenizer, Threads = threads, Versions = ComponentVersions.All });

        using var model = new DecoderModel(Architecture(text.Tokenizer), _options.Precision);
        model.Initialize(_options.Seed);
        using var optimizer = new AdamW(model.parameters(), new(_options.Beta1, _options.Beta2, _options.Epsilon, _options.WeightDecay) { Moments = _options.Moments });
        if (_options.DeferIdleExperts) optimizer.DeferIdleExperts(model.MoeLayers);

        using var recorded = _run.Trace is null ? null : RoutingTraceFile.Create(_run.Trace, model, TraceHeader(model));
        using var session = new TrainingSession(_options, folder, text, model, optimizer, threads, progress) { Trace = recorded };
        try
        {
            return session.Run(stop);
        }
        finally
        {
            recorded?.Complete();       // also of a run that was stopped or diverged: that is when it is looked at
        }
    }

    private void CheckTrace(string path) =>
        RoutingTraceFile.Check(path, _run.Force, _run.Resume ? "A resumed run records its own steps: give another file with --trace." : "Replace it with --force, or give another file with --trace.");

    private RoutingTraceHeader TraceHeader(DecoderModel model) =>
        model.TraceHeader($"train {_run.Output}") with { Metadata = new Dictionary<string, string> { ["seed"] = $"{_options.Seed}" } };

    private DecoderOptions Architecture(ByteLevelTokenizer tokenizer)
    {
        var plain = _options.Model.ToDecoder(tokenizer.VocabularySize, _options.SequenceLength, tokenizer.EndOfTextId);
        int moeLayers = plain.Layers.OfType<MlpOptions.Sparse>().Count();
        var routed = _options.Route(_options.Model.MoeLayer, tokenizer.VocabularySize, moeLayers);      // one for all layers: its lists are equal to themselves only
        return plain with
        {
            Layers = [.. plain.Layers.Select(layer => layer is MlpOptions.Sparse ? new MlpOptions.Sparse(routed) : layer)],
            LoadBalanceCoefficient = _options.Balance == BalanceMode.Loss ? _options.LoadBalanceCoefficient : 0,
        };
    }
}
