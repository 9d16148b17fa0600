using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>A training case (format 4): takes the reference's steps on the reference's batches, with the trainer's own step and optimiser.</summary>
internal static class TrainingCase
{
    private const double LearningRateTolerance = 1e-6;      // the case holds it as float32

    public static VerifyReport Verify(string folder, SafetensorsFile expected, JsonElement about, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        var recipe = TrainingRecipe.Read(expected.Path, about);
        using var model = ModelCheckpoint.Load(folder);
        model.train();
        using var optimizer = new AdamW(model.parameters(), recipe.Optimizer);
        var balance = new LoadBalanceOptions { Coefficient = recipe.LoadBalanceCoefficient, Scope = BalanceScope.Batch, PoolsLayers = true };
        var step = new TrainingStep(model, optimizer, new StepOptions([balance], ZLossCoefficient: 0, recipe.ClipNorm));
        var comparison = new Comparison(expected);

        var batches = comparison.Input("input_ids");
        if (batches.Dimensions != 3 || batches.size(0) != (long)recipe.Steps * recipe.Accumulation)
            throw new CheckpointException(expected.Path, $"'input_ids' is [{string.Join(", ", batches.shape)}]; expected [{recipe.Steps} steps · {recipe.Accumulation} micro-batches, B, S].");

        var measures = new List<StepMeasures>();
        for (int i = 0; i < recipe.Steps; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            measures.Add(step.Run(MicroBatches(batches, i, recipe.Accumulation), recipe.Accumulation, recipe.LearningRate(i)));
        }

        PerStep(comparison, "loss", measures.Select(measure => measure.Loss), recipe.Tolerance);
        PerStep(comparison, "aux_loss", measures.Select(measure => measure.LoadBalanceLoss), recipe.Tolerance);
        PerStep(comparison, "grad_norm", measures.Select(measure => measure.GradNorm), recipe.WeightsTolerance);
        PerStep(comparison, "learning_rate", Enumerable.Range(0, recipe.Steps).Select(recipe.LearningRate), LearningRateTolerance);
        foreach (var weight in PublishedWeights.Of(model)) comparison.Close($"final.{weight.Name}", () => weight.Of(weight.Parameter), recipe.WeightsTolerance);

        return new VerifyReport(folder, "training", comparison.Rows, comparison.Unused);
    }

    private static IEnumerable<(Tensor Inputs, Tensor Targets)> MicroBatches(Tensor batches, int step, int count)
    {
        for (int i = 0; i < count; i++)
        {
            var tokens = batches[step * count + i];
            yield return (tokens, ModelCase.NextTokens(tokens));
        }
    }

    /// <summary>Compares a value of every step, each relative to the reference's value of that step.</summary>
    private static void PerStep(Comparison comparison, string name, IEnumerable<double> ours, double limit)
    {
        if (!comparison.Has(name)) return;

        using var scope = NewDisposeScope();
        var theirs = comparison.Input(name);
        float[] values = theirs.data<float>().ToArray();
        double error = ours.Zip(values, (a, b) => Math.Abs(a - b) / (b == 0 ? 1 : Math.Abs(b))).Aggregate(0.0, Math.Max);
        comparison.Add(name, theirs, error, limit);
    }
}
