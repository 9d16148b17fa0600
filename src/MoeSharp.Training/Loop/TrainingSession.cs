using System.Diagnostics;
using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>One run from its first to its last step, or from the newest checkpoint on.</summary>
internal sealed class TrainingSession : IDisposable
{
    private readonly TrainingOptions _options;
    private readonly RunFolder _folder;
    private readonly TrainingText _text;
    private readonly DecoderModel _model;
    private readonly AdamW _optimizer;
    private readonly IProgress<TrainingEvent>? _progress;
    private readonly CheckpointStore _checkpoints;
    private readonly TrainingStep _step;
    private readonly BatchSampler _sampler;
    private readonly HeldOutMeasure _heldOut;
    private readonly LearningRateSchedule _schedule;
    private readonly TrainingClock _clock;
    private readonly MetricsLog _metrics;
    private readonly int _firstStep;      // counted from 0
    private StepCompleted? _last;

    public TrainingSession(
        TrainingOptions options, RunFolder folder, TrainingText text, DecoderModel model, AdamW optimizer, int threads, IProgress<TrainingEvent>? progress)
    {
        (_options, _folder, _text, _model, _optimizer, _progress) = (options, folder, text, model, optimizer, progress);
        _checkpoints = new CheckpointStore(folder.State, options.KeepCheckpoints);
        _step = new TrainingStep(model, optimizer, new(PooledLosses: [], options.ZLossCoefficient, options.ClipNorm));
        _sampler = new BatchSampler(text.Corpus.Train, options.BatchSize, options.SequenceLength, options.Seed);
        _heldOut = new HeldOutMeasure(text.Corpus.HeldOut, text.ByteCounts, options.SequenceLength);
        _schedule = new LearningRateSchedule(options.LearningRate, options.WarmupSteps, options.Steps, options.MinimumLearningRateFactor);

        var state = _checkpoints.Load(model, optimizer);
        if (state is not null && state.TextFingerprint != text.Corpus.Fingerprint)
            throw new MoeException($"The text is not what the run in {folder.Path} was trained on: files have changed, or another SDK is installed. Restore the text, or start a new run.");

        _firstStep = state?.Step ?? 0;
        _clock = new TrainingClock(threads, state?.Seconds ?? 0, state?.ProcessorSeconds ?? 0);
        _metrics = new MetricsLog(folder.Metrics, _firstStep);
        _last = MetricsLog.Read(folder.Metrics).LastOrDefault();
        if (_firstStep == options.Steps && _last is null)
            throw new MoeException($"The run in {folder.Path} took all its steps, but {Path.GetFileName(folder.Metrics)} does not say how they went, and there is none left to take. Start a new run.");
    }

    /// <summary>Where routing decisions are recorded; null for nowhere.</summary>
    public RoutingTraceFile? Trace { get; init; }

    private long TokensPerStep => (long)_options.BatchSize * _options.SequenceLength * _options.Accumulation;

    public TrainingSummary Run(CancellationToken stop)
    {
        var size = ModelSize.Of(_model.Options);
        _progress?.Report(new TrainingStarted(
            _firstStep + 1, _options.Steps, size.Parameters, size.ActiveParameters, _text.Corpus.Train.Count, _text.Corpus.HeldOut.Count, _text.Tokenizer.VocabularySize));

        for (int step = _firstStep; step < _options.Steps; step++)
        {
            TakeStep(step);
            if (stop.IsCancellationRequested) Stop(step + 1, stop);
        }

        return Finish(size, stop);
    }

    /// <inheritdoc/>
    public void Dispose() => _metrics.Dispose();

    private void TakeStep(int step)
    {
        long started = Stopwatch.GetTimestamp();
        double learningRate = _schedule.At(step);
        var measures = Try(step, () => _step.Run(MicroBatches(step), _options.Accumulation, learningRate, (long)step * _options.Accumulation, Recording(step)));
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;

        bool isMeasured = _options.EvaluateEvery > 0 && ((step + 1) % _options.EvaluateEvery == 0 || step + 1 == _options.Steps);
        if (isMeasured) _optimizer.Flush();
        _last = new StepCompleted
        {
            Step = step + 1,
            Tokens = (step + 1) * TokensPerStep,
            Loss = measures.Loss,
            LoadBalanceLoss = measures.LoadBalanceLoss,
            ZLoss = measures.ZLoss,
            GradNorm = measures.GradNorm,
            LearningRate = learningRate,
            TokensPerSecond = TokensPerStep / seconds,
            ExpertLoad = [.. measures.Routing.Select(Shares)],
            RouterEntropy = measures.Routing.Select(layer => layer.Entropy).DefaultIfEmpty(0).Average(),
            Routing = [.. measures.Routing.Select(LayerRouting.Of)],
            HeldOutBitsPerByte = isMeasured ? _heldOut.BitsPerByte(_model, _options.EvaluateTokens, CancellationToken.None) : null,
        };
        _metrics.Write(_last);
        _progress?.Report(_last);

        bool isLast = step + 1 == _options.Steps;
        if (isLast || (_options.CheckpointEvery > 0 && (step + 1) % _options.CheckpointEvery == 0)) SaveCheckpoint(step + 1);
    }

    private static double[] Shares(RoutingLoad load)
    {
        double all = Math.Max(load.Routed.Sum(), 1);
        return [.. load.Routed.Select(one => one / all)];
    }

    private static StepMeasures Try(int step, Func<StepMeasures> run)
    {
        try
        {
            return run();
        }
        catch (DivergedException e)
        {
            throw new DivergedException($"Training diverged at step {step + 1}", $"The checkpoints up to step {step} stay as they are; try a lower learning rate or a longer warm-up", e);
        }
    }

    private Action<Tensor, IEnumerable<RoutingPlan>>? Recording(int step) => Trace is { } trace ? (inputs, plans) => trace.Record(step + 1, inputs, plans) : null;

    private IEnumerable<(Tensor Inputs, Tensor Targets)> MicroBatches(int step)
    {
        for (int i = 0; i < _options.Accumulation; i++) yield return _sampler.Batch((long)step * _options.Accumulation + i);
    }

    private void SaveCheckpoint(int step)
    {
        string saved = _checkpoints.Save(_model, _optimizer, new CheckpointState
        {
            Step = step,
            TextFingerprint = _text.Corpus.Fingerprint,
            Seconds = _clock.Seconds,
            ProcessorSeconds = _clock.ProcessorSeconds,
            HeldOutBitsPerByte = _last?.HeldOutBitsPerByte,
            Files = [],
        });
        _progress?.Report(new CheckpointWritten(step, saved));
    }

    private void Stop(int step, CancellationToken stop)
    {
        SaveCheckpoint(step);
        WriteModel();
        throw new StoppedException(step, _folder.Path, stop);
    }

    private void WriteModel()
    {
        _optimizer.Flush();
        ModelCheckpoint.Save(_model, _folder.Path);
        _text.Tokenizer.Save(_folder.Path);
    }

    private TrainingSummary Finish(ModelSize size, CancellationToken stop)
    {
        var (seconds, share) = (_clock.Seconds, _clock.ProcessorShare);
        WriteModel();
        _progress?.Report(new Preparing("measuring on all held-out text", null));
        double bits;
        try
        {
            bits = _heldOut.BitsPerByte(_model, long.MaxValue, stop);
        }
        catch (OperationCanceledException)
        {
            throw new StoppedException(_options.Steps, _folder.Path, stop);
        }

        var summary = new TrainingSummary
        {
            Steps = _options.Steps,
            Tokens = _options.Steps * TokensPerStep,
            Loss = _last!.Loss,     // at least one step was taken, now or before
            HeldOutBitsPerByte = bits,
            GzipBitsPerByte = _text.Corpus.HeldOutGzipBitsPerByte,
            Seconds = seconds,
            TokensPerSecond = _options.Steps * TokensPerStep / seconds,
            CpuShare = share,
            PeakMemoryBytes = TrainingClock.PeakMemoryBytes,
            Parameters = size.Parameters,
            ActiveParameters = size.ActiveParameters,
            DeadExperts = _last.ExpertLoad.Sum(layer => layer.Count(share => share == 0)),
        };
        AtomicFile.WriteAllText(_folder.Summary, JsonSerializer.Serialize(summary, TrainingJson.Indented.TrainingSummary) + "\n");
        return summary;
    }
}
