using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary><c>metrics.jsonl</c>: a line per step, on disk as soon as the step is done.</summary>
internal sealed class MetricsLog : IDisposable
{
    private readonly StreamWriter _writer;

    /// <summary>Opens the log, keeping the lines of steps up to <paramref name="lastStep"/>: later ones were taken after the checkpoint that is resumed.</summary>
    public MetricsLog(string path, int lastStep)
    {
        string[] kept = File.Exists(path) ? [.. File.ReadLines(path).TakeWhile(line => StepOf(line) is { } step && step <= lastStep)] : [];
        AtomicFile.WriteAllText(path, string.Concat(kept.Select(line => line + "\n")));
        _writer = new StreamWriter(path, append: true) { AutoFlush = true, NewLine = "\n" };
    }

    /// <summary>Adds a line.</summary>
    public void Write(StepCompleted step) => _writer.WriteLine(JsonSerializer.Serialize(step, TrainingJson.Default.StepCompleted));

    /// <summary>Reads the lines of a log; a line that a killed run left unfinished ends it.</summary>
    public static IEnumerable<StepCompleted> Read(string path)
    {
        foreach (string line in File.ReadLines(path))
        {
            if (TryParse(line) is not { } step) yield break;
            yield return step;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();

    private static int? StepOf(string line) => TryParse(line)?.Step;

    private static StepCompleted? TryParse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, TrainingJson.Default.StepCompleted);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
