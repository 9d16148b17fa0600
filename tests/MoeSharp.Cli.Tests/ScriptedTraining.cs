using System.Text.Json;
using MoeSharp.Training;

namespace MoeSharp.Cli.Tests;

/// <summary>A training run without a model: plausible events, and the metrics.jsonl of them.</summary>
internal static class ScriptedTraining
{
    private const int HeldOutEvery = 50;

    public static IEnumerable<StepCompleted> Steps(int steps, int layers = 2, int experts = 4)
    {
        var random = new Random(7);
        for (var step = 1; step <= steps; step++)
        {
            var loss = 2.2 + 5.8 * Math.Exp(-step / 60.0) + 0.08 * (random.NextDouble() - 0.5);
            yield return new()
            {
                Step = step,
                Tokens = step * 4096L,
                Loss = loss,
                LoadBalanceLoss = 2.05,
                ZLoss = 1.5,
                GradNorm = 0.8,
                LearningRate = 3e-3,
                TokensPerSecond = 8000 + random.Next(400),
                RouterEntropy = 1.2,
                HeldOutBitsPerByte = step % HeldOutEvery == 0 || step == steps ? loss / 2.4 : null,
                ExpertLoad = [.. Enumerable.Range(0, layers).Select(_ => Load(random, experts, 3 * Math.Exp(-step / 40.0)))],
            };
        }
    }

    public static TrainingStarted Started(int steps) => new(1, steps, 11_300_000, 4_200_000, 5_100_000, 104_000, 4096);

    public static TrainingSummary Summary(int steps) => new()
    {
        Steps = steps,
        Tokens = steps * 4096L,
        Loss = 2.2,
        HeldOutBitsPerByte = 1.234,
        GzipBitsPerByte = 1.987,
        Seconds = 312,
        TokensPerSecond = 8123,
        CpuShare = 0.97,
        PeakMemoryBytes = 1_230_000_000,
        Parameters = 11_300_000,
        ActiveParameters = 4_200_000,
        DeadExperts = 0,
    };

    /// <summary>An engine whose training reports so many steps and writes metrics.jsonl, and whose generation says one sentence.</summary>
    public static Engine Engine(int steps, Action<TrainingOptions, TrainingRun>? onStart = null) => new()
    {
        Train = (options, run, progress, stop) =>
        {
            onStart?.Invoke(options, run);
            progress.Report(new Preparing("Reading the text", null));
            progress.Report(Started(steps));
            foreach (var step in Steps(steps)) progress.Report(step);
            progress.Report(new CheckpointWritten(steps, Path.Combine(run.Output, "state")));
            Directory.CreateDirectory(Path.Combine(run.Output, "state"));
            WriteMetrics(run.Output, Steps(steps));
            return Summary(steps);
        },
        Generate = (_, _, _, _, _) => [new(1, " quick", -0.1), new(2, " fox", -0.2)],
    };

    public static void WriteMetrics(string folder, IEnumerable<StepCompleted> steps) =>
        File.WriteAllLines(Path.Combine(folder, MetricsFile.FileName), steps.Select(step => JsonSerializer.Serialize(step, CliJsonContext.Default.StepCompleted)));

    private static double[] Load(Random random, int experts, double unevenness)
    {
        var weights = Enumerable.Range(0, experts).Select(_ => Math.Exp((0.15 + unevenness) * (random.NextDouble() - 0.5))).ToArray();
        return [.. weights.Select(weight => weight / weights.Sum())];
    }
}
