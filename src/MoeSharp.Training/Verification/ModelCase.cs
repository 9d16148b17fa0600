using System.Text.Json;
using MoeSharp.Checkpoints;
using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>
/// A model case (format 2): MoE blocks alone (<see cref="BlockCase"/>), then, of models that run whole, logits, losses, gradients and greedy
/// continuation, also under padding.
/// </summary>
internal sealed class ModelCase
{
    private const double ModelTolerance = 1e-4;

    private readonly DecoderModel _model;
    private readonly Comparison _comparison;
    private readonly double _tolerance;

    private ModelCase(DecoderModel model, Comparison comparison, double tolerance)
    {
        _model = model;
        _comparison = comparison;
        _tolerance = tolerance;
    }

    public static VerifyReport Verify(string folder, SafetensorsFile expected, JsonElement about, CancellationToken cancellationToken)
    {
        var comparison = new Comparison(expected);
        using var checkpoint = MoeCheckpoint.Open(folder);
        new BlockCase(checkpoint, comparison).Run(cancellationToken);
        if (RunsWhole(folder, checkpoint.Model)) VerifyWhole(folder, comparison, about, cancellationToken);

        return new VerifyReport(folder, "model", comparison.Rows, comparison.Unused);
    }

    private static bool RunsWhole(string folder, ModelDescription model)
    {
        if (model.Family is not (Qwen3MoeConfig.ModelType or Qwen3MoeConfig.ExtendedModelType) || model.Quantization is not null) return false;

        try
        {
            _ = Qwen3MoeConfig.Read(Path.Combine(folder, "config.json"));
            return true;
        }
        catch (CheckpointException)
        {
            return false;       // scaled positions, say, which blocks do not have
        }
    }

    private static void VerifyWhole(string folder, Comparison comparison, JsonElement about, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        using var model = ModelCheckpoint.Load(folder);
        var @case = new ModelCase(model, comparison, about.TryGetProperty("tolerance", out var tolerance) ? tolerance.GetDouble() : ModelTolerance);

        foreach (var part in (Action[])[@case.WholeModel, @case.Padded, @case.Greedy])
        {
            cancellationToken.ThrowIfCancellationRequested();
            part();
        }
    }

    private void WholeModel()
    {
        using var scope = NewDisposeScope();
        var tokens = _comparison.Input("input_ids");

        var (hidden, routing) = _model.call(tokens);
        var loss = TrainingStep.LanguageModelLoss(_model, hidden, NextTokens(tokens));
        _comparison.Close("logits", () => _model.Logits(hidden), _tolerance);
        _comparison.Close("loss", () => loss, _tolerance);
        if (routing.Count > 0) _comparison.Close("aux_loss", () => BalanceLoss.LoadBalance(routing), _tolerance);

        _model.zero_grad();
        GuardedBackward.Run(loss);
        foreach (var weight in PublishedWeights.Of(_model))
            _comparison.Close($"grad.{weight.Name}", () => weight.Parameter.grad is { } gradient ? weight.Of(gradient) : zeros_like(weight.Of(weight.Parameter)), _tolerance);
        _model.zero_grad();
    }

    private void Padded()
    {
        if (!_comparison.Has("masked.attention_mask")) return;

        using var scope = NewDisposeScope();
        using var ungraded = no_grad();
        var tokens = _comparison.Input("input_ids");
        var mask = _comparison.Input("masked.attention_mask");
        var counted = mask.to(ScalarType.Bool);

        var (hidden, routing) = _model.forward(tokens, mask);
        var logits = _model.Logits(hidden);
        if (_comparison.Has("masked.logits"))
        {
            var theirs = _comparison.Input("masked.logits");
            _comparison.Add("masked.logits", theirs, Comparison.RelativeError(logits[counted], theirs[counted]), _tolerance);
        }

        var labels = where(counted, tokens, full_like(tokens, TrainingStep.Ignored));
        _comparison.Close("masked.loss", () => TrainingStep.LanguageModelLoss(_model, hidden, NextTokens(labels)), _tolerance);
        if (routing.Count > 0) _comparison.Close("masked.aux_loss", () => BalanceLoss.LoadBalance(routing), _tolerance);
    }

    private void Greedy()
    {
        if (!_comparison.Has("greedy")) return;

        using var scope = NewDisposeScope();
        var theirs = _comparison.Input("greedy");
        var sampler = new TokenSampler(new SamplingOptions { Temperature = 0 });
        long prompt = _comparison.Input("input_ids").size(1), differing = 0;
        for (long row = 0; row < theirs.size(0); row++)
        {
            long[] expected = theirs[row].data<long>().ToArray();
            List<long> tokens = [.. expected.Take((int)prompt)];
            using var cache = _model.CreateCache(expected.Length);
            while (tokens.Count < expected.Length) tokens.Add(sampler.Choose(TextGenerator.NextLogits(_model, tokens, cache)).Id);
            differing += tokens.Zip(expected).Count(pair => pair.First != pair.Second);
        }

        _comparison.Add("greedy", theirs, differing, 0);
    }

    /// <summary>Labels [B, S] as targets: each position predicts the next one, the last nothing.</summary>
    internal static Tensor NextTokens(Tensor labels)
    {
        using var scope = NewDisposeScope();
        var nothing = full([labels.size(0), 1], TrainingStep.Ignored, labels.dtype);
        return cat([labels.narrow(1, 1, labels.size(1) - 1), nothing], 1).MoveToOuterDisposeScope();
    }
}
