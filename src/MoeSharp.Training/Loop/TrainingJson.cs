using System.Text.Json;
using System.Text.Json.Serialization;

namespace MoeSharp.Training;

/// <summary>The JSON of a run's files, generated at compile time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StepCompleted))]
[JsonSerializable(typeof(TrainingSummary))]
[JsonSerializable(typeof(CheckpointState))]
[JsonSerializable(typeof(Dictionary<string, int>))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class TrainingJson : JsonSerializerContext
{
    /// <summary>The same for files that people read.</summary>
    public static TrainingJson Indented { get; } = new(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true, NewLine = "\n" });
}
