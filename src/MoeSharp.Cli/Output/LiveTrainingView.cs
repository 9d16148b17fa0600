using MoeSharp.Training;
using Spectre.Console;

namespace MoeSharp.Cli;

/// <summary>A run on a terminal: one picture, drawn again as events come.</summary>
internal sealed class LiveTrainingView(IAnsiConsole terminal, TextWriter output, TimeProvider time) : ITrainingView, IProgress<TrainingEvent>
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new(); // signals speak from their own thread
    private readonly TrainingDashboard _dashboard = new(new(time));
    private LiveDisplayContext? _display;
    private long _lastDrawn;

    public TrainingSummary During(Func<IProgress<TrainingEvent>, TrainingSummary> train) => terminal
        .Live(_dashboard.Draw(terminal.Profile.Width))
        .Overflow(VerticalOverflow.Crop)
        .Start(display =>
        {
            _display = display;
            try
            {
                return train(this);
            }
            finally
            {
                Draw();
                _display = null;
            }
        });

    public void Report(TrainingEvent value)
    {
        lock (_lock)
        {
            _dashboard.Progress.Add(value);
            if (time.GetElapsedTime(_lastDrawn) >= Pause) Draw();
        }
    }

    public void Say(string message)
    {
        lock (_lock)
        {
            _dashboard.Progress.Note(message);
            Draw();
        }
    }

    public void Finish(TrainingFinished finished)
    {
        terminal.WriteLine();
        TrainingReport.Write(finished, output);
    }

    public void Stopped(TrainingStopped stopped) => terminal.MarkupLineInterpolated($"Stopped after step {stopped.Step}. Resume with: [bold]{stopped.Resume}[/]");

    private void Draw()
    {
        _lastDrawn = time.GetTimestamp();
        _display?.UpdateTarget(_dashboard.Draw(terminal.Profile.Width));
    }
}
