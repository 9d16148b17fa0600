using System.Text.Json;
using MoeSharp.Checkpoints;

namespace MoeSharp.Training;

/// <summary>How a training case was trained, from its metadata; what is not supported is refused by name.</summary>
internal sealed record TrainingRecipe
{
    private const string DecayedTensors = "tensors with two or more dimensions";

    public required int Steps { get; init; }

    public required int Accumulation { get; init; }

    public required AdamWOptions Optimizer { get; init; }

    public required double ClipNorm { get; init; }

    public required double LoadBalanceCoefficient { get; init; }

    public required double Tolerance { get; init; }

    public required double WeightsTolerance { get; init; }

    /// <summary>The learning rate of a step, counted from 0.</summary>
    public required Func<int, double> LearningRate { get; init; }

    public static TrainingRecipe Read(string file, JsonElement about)
    {
        try
        {
            var optimizer = about.GetProperty("optimizer");
            Require(file, "optimizer.kind", Text(optimizer, "kind"), "adamw");
            Require(file, "optimizer.weight_decay_on", Text(optimizer, "weight_decay_on") ?? DecayedTensors, DecayedTensors);
            var betas = optimizer.GetProperty("betas");
            int steps = about.GetProperty("steps").GetInt32();

            return new TrainingRecipe
            {
                Steps = steps,
                Accumulation = (int)(Number(about, "accumulation") ?? 1),
                Optimizer = new(betas[0].GetDouble(), betas[1].GetDouble(), optimizer.GetProperty("epsilon").GetDouble(), optimizer.GetProperty("weight_decay").GetDouble()),
                ClipNorm = Number(optimizer, "clip_norm") ?? 0,
                LoadBalanceCoefficient = about.TryGetProperty("balance", out var balance) && balance.ValueKind == JsonValueKind.Object ? Number(balance, "coefficient") ?? 0 : 0,
                Tolerance = Number(about, "tolerance") ?? 1e-5,
                WeightsTolerance = Number(about, "weights_tolerance") ?? 2e-3,
                LearningRate = Schedule(file, about, optimizer.GetProperty("learning_rate").GetDouble(), steps),
            };
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or IndexOutOfRangeException)
        {
            throw new CheckpointException(file, $"The description of the training case is incomplete or has a value of the wrong type: {e.Message}", e);
        }
    }

    private static Func<int, double> Schedule(string file, JsonElement about, double peak, int steps)
    {
        if (!about.TryGetProperty("schedule", out var schedule) || schedule.ValueKind == JsonValueKind.Null || Text(schedule, "kind") == "constant") return _ => peak;

        Require(file, "schedule.kind", Text(schedule, "kind"), "warmup_cosine");
        return new LearningRateSchedule(peak, (int)(Number(schedule, "warmup_steps") ?? 0), steps, Number(schedule, "minimum_factor") ?? 0).At;
    }

    private static void Require(string file, string field, string? value, string supported)
    {
        if (value != supported) throw new CheckpointException(file, $"{field} is '{value}'; only '{supported}' is supported.");
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static double? Number(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;
}
