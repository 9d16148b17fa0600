using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli;

/// <summary>Reads <c>metrics.jsonl</c>: a line per step.</summary>
internal static class MetricsFile
{
    public const string FileName = "metrics.jsonl";

    /// <exception cref="MoeException">A line is not the record of a step.</exception>
    public static IReadOnlyList<StepCompleted> Read(string path)
    {
        List<StepCompleted> steps = [];
        foreach (var line in File.ReadLines(path))
        {
            try
            {
                steps.Add(JsonSerializer.Deserialize(line, CliJsonContext.Default.StepCompleted)!); // a line "null" fails on the required fields of the next access
            }
            catch (JsonException error)
            {
                throw new MoeException($"{path}, line {steps.Count + 1}: not the record of a step: {error.Message}", error);
            }
        }

        return steps;
    }
}
