using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>A run as lines of text, for files and pipes: about one every five seconds, and one for every measurement.</summary>
internal sealed class PlainTrainingView(TextWriter output, TextWriter messages, TimeProvider time, bool isQuiet = false) : ITrainingView, IProgress<TrainingEvent>
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    private readonly TrainingProgress _progress = new(time);
    private long? _lastLine;
    private string? _activity;

    public TrainingSummary During(Func<IProgress<TrainingEvent>, TrainingSummary> train) => train(this);

    public void Report(TrainingEvent value)
    {
        _progress.Add(value);
        switch (value)
        {
            case Preparing preparing: WritePreparing(preparing); break;
            case TrainingStarted started: WriteLine(StartLine(started)); break;
            case StepCompleted step when IsDue(step): WriteLine(StepLine(step)); break;
            case TrainingNotice notice: Say(notice.Text); break;
        }
    }

    public void Say(string message) => messages.WriteLine(message);

    public void Finish(TrainingFinished finished) => TrainingReport.Write(finished, output);

    public void Stopped(TrainingStopped stopped) => messages.WriteLine($"Stopped after step {stopped.Step}. Resume with: {stopped.Resume}");

    internal static string StartLine(TrainingStarted started) =>
        $"{Quantity.Short(started.Parameters)} parameters ({Quantity.Short(started.ActiveParameters)} active per token), vocabulary {Quantity.Grouped(started.VocabularySize)}, " +
        $"{Quantity.Short(started.TrainTokens)} tokens of text and {Quantity.Short(started.HeldOutTokens)} held out; steps {started.FirstStep} to {started.Steps}";

    private void WritePreparing(Preparing preparing)
    {
        if (preparing.Activity == _activity && !IsPauseOver) return;

        _activity = preparing.Activity;
        WriteLine(preparing.Share is >= 0.01 ? Quantity.Text($"{preparing.Activity} ({preparing.Share:0 %})") : preparing.Activity);
    }

    private bool IsPauseOver => _lastLine is null || time.GetElapsedTime(_lastLine.Value) >= Pause;

    private bool IsDue(StepCompleted step) =>
        IsPauseOver || step.HeldOutBitsPerByte is not null || step.Step == _progress.Started?.FirstStep || step.Step == _progress.Started?.Steps;

    private string StepLine(StepCompleted step)
    {
        var steps = _progress.Started?.Steps ?? step.Step;
        var (least, most) = _progress.LoadRange();
        var line = Quantity.Text($"step {step.Step.ToString().PadLeft($"{steps}".Length)}/{steps}  loss {step.Loss:0.000}  {step.TokensPerSecond:#,0} tokens/s  expert load {least:0.0}-{most:0.0}");
        if (_progress.DeadExperts > 0) line += $"  dead experts {_progress.DeadExperts}";
        if (_progress.DroppedShare > 0) line += Quantity.Text($"  dropped {_progress.DroppedShare:0.0 %}");
        if (step.HeldOutBitsPerByte is { } bits) line += Quantity.Text($"  held-out {bits:0.000} bits/byte");
        if (_progress.Remaining is { TotalSeconds: >= 1 } remaining) line += $"  {Quantity.Duration(remaining)} left";

        return line;
    }

    private void WriteLine(string line)
    {
        if (isQuiet) return;

        _lastLine = time.GetTimestamp();
        output.WriteLine(line);
        output.Flush();
    }
}
