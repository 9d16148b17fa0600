using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>What the views know of a run so far: the latest of every kind of event, and how long the rest will take.</summary>
internal sealed class TrainingProgress(TimeProvider time)
{
    private readonly List<double> _losses = [];
    private readonly Queue<string> _notices = new();
    private long _began = time.GetTimestamp();
    private int _stepsDone;

    public Preparing? Preparing { get; private set; }

    public TrainingStarted? Started { get; private set; }

    public StepCompleted? Step { get; private set; }

    /// <summary>The latest step with a measurement on held-out text.</summary>
    public StepCompleted? Measured { get; private set; }

    /// <summary>The loss of every step, in order.</summary>
    public IReadOnlyList<double> Losses => _losses;

    /// <summary>The last few notices.</summary>
    public IReadOnlyCollection<string> Notices => _notices;

    /// <summary>Since training began, or preparation where it has not.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_began);

    /// <summary>At the mean pace since the first step of this process.</summary>
    public TimeSpan? Remaining => Started is null || Step is null ? null : Elapsed / _stepsDone * (Started.Steps - Step.Step);

    public int DeadExperts => Step?.ExpertLoad.Sum(layer => layer.Count(share => share == 0)) ?? 0;

    /// <summary>The mean over layers of the share of choices that found their expert full.</summary>
    public double DroppedShare => Step?.Routing.Select(layer => layer.DroppedShare).DefaultIfEmpty(0).Average() ?? 0;

    public void Add(TrainingEvent value)
    {
        switch (value)
        {
            case Preparing preparing:
                Preparing = preparing;
                break;
            case TrainingStarted started:
                (Started, _began) = (started, time.GetTimestamp());
                break;
            case StepCompleted step:
                Step = step;
                _stepsDone++;
                _losses.Add(step.Loss);
                if (step.HeldOutBitsPerByte is not null) Measured = step;
                break;
            case TrainingNotice notice:
                Note(notice.Text);
                break;
        }
    }

    public void Note(string text)
    {
        _notices.Enqueue(text);
        if (_notices.Count > 3) _notices.Dequeue();
    }

    /// <summary>The smallest and largest load over all layers and experts, where 1 is even.</summary>
    public (double Least, double Most) LoadRange()
    {
        var loads = Step!.ExpertLoad.SelectMany(layer => layer.Select(share => share * layer.Length)).DefaultIfEmpty(1).ToArray(); // asked for once a step is done
        return (loads.Min(), loads.Max());
    }
}
