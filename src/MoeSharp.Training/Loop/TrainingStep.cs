using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>What one optimiser step measured; see <see cref="StepCompleted"/> for the units.</summary>
internal sealed record StepMeasures(double Loss, double LoadBalanceLoss, double ZLoss, double GradNorm, double RouterEntropy, double[][] ExpertLoad);

/// <summary>What a step adds to the language-model loss and does to the gradients and the routers.</summary>
/// <param name="LoadBalanceCoefficient">Of the load-balance loss; 0 for none.</param>
/// <param name="PoolsLayers">
/// Whether that loss is one over the tokens of all layers, as in transformers, or the mean of the layers' own. Pooled, layers may each
/// starve the experts that another one feeds.
/// </param>
/// <param name="ZLossCoefficient">Of the router z-loss; 0 for none.</param>
/// <param name="ClipNorm">The gradients' largest 2-norm; 0 for no clipping.</param>
/// <param name="BiasUpdateRate">Of the loss-free bias update; null for none.</param>
internal sealed record StepOptions(double LoadBalanceCoefficient, bool PoolsLayers, double ZLossCoefficient, double ClipNorm, double? BiasUpdateRate);

/// <summary>One optimiser step: losses and gradients of every micro-batch, clipping, update, load balancing.</summary>
internal sealed class TrainingStep(DecoderModel model, AdamW optimizer, StepOptions options)
{
    /// <summary>Targets of this value are left out of the loss.</summary>
    public const long Ignored = -100;

    /// <summary>Takes the step.</summary>
    /// <param name="microBatches">Yields inputs and targets [B, S], the targets one token ahead, in the scope of the caller's iteration.</param>
    /// <param name="count">The number of micro-batches: the gradient is of the mean of their losses.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <exception cref="DivergedException">A loss or gradient is not finite; the weights are as before the step.</exception>
    public StepMeasures Run(IEnumerable<(Tensor Inputs, Tensor Targets)> microBatches, int count, double learningRate)
    {
        using var scope = NewDisposeScope();

        var sums = new Sums(model, count);
        try
        {
            foreach (var (inputs, targets) in microBatches) sums.Add(Accumulate(inputs, targets, count));
        }
        catch (MoeException e)      // a router refuses logits that are not numbers
        {
            throw DivergedException.Find(model, e.Message);
        }

        double norm = optimizer.ClipGradients(options.ClipNorm);
        if (!double.IsFinite(sums.Loss) || !double.IsFinite(norm)) throw DivergedException.Find(model, $"the loss is {sums.Loss}");

        optimizer.Step(learningRate);
        if (options.BiasUpdateRate is { } rate)
        {
            foreach (var (layer, counts) in model.MoeLayers.Zip(sums.TokensPerExpert)) layer.UpdateCorrectionBias(tensor(counts), rate);
        }

        return sums.ToMeasures(norm);
    }

    /// <summary>The mean loss of the next token over the targets that count, in nats.</summary>
    public static Tensor LanguageModelLoss(DecoderModel model, Tensor hidden, Tensor targets) => model.Loss(hidden, targets, Ignored);

    private MicroBatch Accumulate(Tensor inputs, Tensor targets, int count)
    {
        using var scope = NewDisposeScope();

        var (hidden, routing) = model.forward(inputs);
        var loss = LanguageModelLoss(model, hidden, targets);
        var total = loss;
        if (routing.Count == 0)
        {
            GuardedBackward.Run(total / count);
            return new MicroBatch(loss.item<float>(), 0, 0, 0, []);
        }

        var balance = options.PoolsLayers ? BalanceLoss.LoadBalance(routing) : stack(routing.Select(layer => layer.LoadBalanceLoss)).mean();
        var z = BalanceLoss.ZLoss(routing);
        if (options.LoadBalanceCoefficient > 0) total = total + balance * options.LoadBalanceCoefficient;
        if (options.ZLossCoefficient > 0) total = total + z * options.ZLossCoefficient;
        GuardedBackward.Run(total / count);

        return new MicroBatch(
            loss.item<float>(), balance.item<float>(), z.item<float>(), routing.Average(layer => layer.Entropy.item<float>()),
            [.. routing.Select(layer => layer.TokensPerExpert.data<long>().ToArray())]);
    }

    private sealed record MicroBatch(double Loss, double Balance, double Z, double Entropy, long[][] TokensPerExpert);

    private sealed class Sums(DecoderModel model, int count)
    {
        private double _balance, _z, _entropy;

        public double Loss { get; private set; }

        public long[][] TokensPerExpert { get; } = [.. model.MoeLayers.Select(layer => new long[layer.Options.Router.ExpertCount])];

        public void Add(MicroBatch batch)
        {
            Loss += batch.Loss / count;
            _balance += batch.Balance / count;
            _z += batch.Z / count;
            _entropy += batch.Entropy / count;
            foreach (var (sum, added) in TokensPerExpert.Zip(batch.TokensPerExpert))
            {
                for (int expert = 0; expert < sum.Length; expert++) sum[expert] += added[expert];
            }
        }

        public StepMeasures ToMeasures(double norm) => new(Loss, _balance, _z, norm, _entropy, [.. TokensPerExpert.Select(Shares)]);

        private static double[] Shares(long[] counts)
        {
            double all = counts.Sum();
            return [.. counts.Select(one => one / all)];
        }
    }
}
