using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Every event as one JSON object a line: {"version":1,"event":"step", …}.</summary>
internal sealed class JsonTrainingView(TextWriter output, TextWriter messages) : ITrainingView, IProgress<TrainingEvent>
{
    private const int Version = 1;

    public TrainingSummary During(Func<IProgress<TrainingEvent>, TrainingSummary> train) => train(this);

    public void Report(TrainingEvent value)
    {
        var json = CliJsonContext.Readable;
        switch (value)
        {
            case Preparing preparing: Write("preparing", preparing, json.Preparing); break;
            case TrainingStarted started: Write("started", started, json.TrainingStarted); break;
            case StepCompleted step: Write("step", step, json.StepCompleted); break;
            case CheckpointWritten checkpoint: Write("checkpoint", checkpoint, json.CheckpointWritten); break;
            case TrainingNotice notice: Write("notice", notice, json.TrainingNotice); break;
            default: throw new ArgumentException($"No JSON for a {value.GetType().Name}.", nameof(value));
        }
    }

    public void Say(string message) => messages.WriteLine(message);

    public void Finish(TrainingFinished finished) => Write("finished", finished, CliJsonContext.Readable.TrainingFinished);

    public void Stopped(TrainingStopped stopped)
    {
        Write("stopped", stopped, CliJsonContext.Readable.TrainingStopped);
        messages.WriteLine($"Stopped after step {stopped.Step}. Resume with: {stopped.Resume}");
    }

    private void Write<T>(string name, T value, JsonTypeInfo<T> type)
    {
        var fields = JsonSerializer.Serialize(value, type).AsSpan(1); // without the opening brace
        output.WriteLine($"{{\"version\":{Version},\"event\":\"{name}\",{fields}");
        output.Flush();
    }
}
