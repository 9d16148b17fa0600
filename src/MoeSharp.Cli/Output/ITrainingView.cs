using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Shows a training run while it goes and when it ends.</summary>
internal interface ITrainingView
{
    /// <summary>Runs the training with this view on its events.</summary>
    TrainingSummary During(Func<IProgress<TrainingEvent>, TrainingSummary> train);

    /// <summary>Says something that is no event of the training, from any thread.</summary>
    void Say(string message);

    /// <summary>Shows what the run achieved.</summary>
    void Finish(TrainingFinished finished);

    /// <summary>Shows how to continue a run that was stopped.</summary>
    void Stopped(TrainingStopped stopped);
}

/// <summary>A run that ended.</summary>
/// <param name="Folder">Where the model is.</param>
/// <param name="Summary">What the run achieved.</param>
/// <param name="Prompt">What the sample continues.</param>
/// <param name="Sample">Generated text, without the prompt.</param>
/// <param name="Files">What lies in the folder.</param>
/// <param name="Next">A command to try.</param>
internal sealed record TrainingFinished(string Folder, TrainingSummary Summary, string Prompt, string Sample, IReadOnlyList<string> Files, string Next);

/// <summary>A run that was stopped and can go on.</summary>
/// <param name="Step">The last step that was done.</param>
/// <param name="Folder">Where its state is.</param>
/// <param name="Resume">The command that continues it.</param>
internal sealed record TrainingStopped(int Step, string Folder, string Resume);
