using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>What one optimiser step measured; see <see cref="StepCompleted"/> for the units. <paramref name="Routing"/> has one entry per MoE layer.</summary>
internal sealed record StepMeasures(double Loss, double LoadBalanceLoss, double ZLoss, double GradNorm, IReadOnlyList<RoutingLoad> Routing);

/// <summary>What a step adds to the language-model loss and does to the gradients; the layers' own losses and biases are in their options.</summary>
/// <param name="PooledLosses">Load-balance losses over the tokens of all layers, as in transformers. Pooled, layers may each starve the experts that another one feeds.</param>
/// <param name="ZLossCoefficient">Of the router z-loss, a mean over the tokens of all layers; 0 for none.</param>
/// <param name="ClipNorm">The gradients' largest 2-norm; 0 for no clipping.</param>
internal sealed record StepOptions(IReadOnlyList<LoadBalanceOptions> PooledLosses, double ZLossCoefficient, double ClipNorm);

/// <summary>One optimiser step: losses and gradients of every micro-batch, clipping, update, load balancing.</summary>
internal sealed class TrainingStep(DecoderModel model, AdamW optimizer, StepOptions options)
{
    /// <summary>Targets of this value are left out of the loss.</summary>
    public const long Ignored = -100;

    private readonly RoutedMoE[] _moeLayers = [.. model.MoeLayers];

    private bool HasGlobalLoss => _moeLayers.Any(layer => layer.Options.LoadBalance.Any(loss => loss.Scope == BalanceScope.Global));

    /// <summary>Takes the step.</summary>
    /// <param name="microBatches">Yields inputs and targets [B, S], the targets one token ahead, in the scope of the caller's iteration; read twice when a loss spans the step.</param>
    /// <param name="count">The number of micro-batches: the gradient is of the mean of their losses.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="firstCall">How many micro-batches came before: decides, with the seed, what routers draw.</param>
    /// <param name="onRouted">Hears the inputs of each micro-batch and how every MoE layer routed them.</param>
    /// <exception cref="DivergedException">A loss or gradient is not finite; the weights are as before the step.</exception>
    public StepMeasures Run(
        IEnumerable<(Tensor Inputs, Tensor Targets)> microBatches, int count, double learningRate, long firstCall = 0, Action<Tensor, IEnumerable<RoutingPlan>>? onRouted = null)
    {
        using var scope = NewDisposeScope();

        var sums = new Sums();
        var stepLoads = count > 1 && HasGlobalLoss ? Finite(() => CountLoads(microBatches, firstCall)) : null;
        foreach (var (i, (inputs, targets)) in microBatches.Index())
        {
            var batch = Finite(() => Accumulate(inputs, targets, count, Calls(firstCall + i, stepLoads)));
            sums.Add(batch, count);
            onRouted?.Invoke(inputs, batch.Plans);
        }

        double norm = optimizer.ClipGradients(options.ClipNorm);
        if (!double.IsFinite(sums.Loss) || !double.IsFinite(norm)) throw Diverged($"the loss is {sums.Loss}");

        optimizer.Step(learningRate);
        foreach (var (layer, load) in _moeLayers.Zip(sums.Routing)) layer.UpdateBalance(load);

        return sums.ToMeasures(norm);
    }

    private T Finite<T>(Func<T> pass)
    {
        try
        {
            return pass();
        }
        catch (MoeException e)      // a router refuses logits that are not numbers
        {
            throw Diverged(e.Message);
        }
    }

    private DivergedException Diverged(string otherwise)
    {
        optimizer.Flush();
        return DivergedException.Find(model, otherwise);
    }

    /// <summary>The mean loss of the next token over the targets that count, in nats.</summary>
    public static Tensor LanguageModelLoss(DecoderModel model, Tensor hidden, Tensor targets) => model.Loss(hidden, targets, Ignored);

    /// <summary>The loads of the whole step, without gradient: a global loss needs them before the first backward pass.</summary>
    private RoutingLoad[] CountLoads(IEnumerable<(Tensor Inputs, Tensor Targets)> microBatches, long firstCall)
    {
        using var ungraded = no_grad();
        RoutingLoad[]? loads = null;
        foreach (var (i, (inputs, _)) in microBatches.Index())
        {
            using var scope = NewDisposeScope();
            var own = model.forward(inputs, null, null, Calls(firstCall + i, null)).Routing.Select(layer => layer.Load);
            loads = [.. loads is null ? own : loads.Zip(own, (sum, load) => sum.Add(load))];
        }

        return loads!;      // there is a micro-batch
    }

    // every layer of every call draws its own numbers
    private RoutingCall[] Calls(long call, RoutingLoad[]? stepLoads) =>
        [.. _moeLayers.Select((_, layer) => new RoutingCall { Step = call * _moeLayers.Length + layer, StepLoad = stepLoads?[layer] })];

    private MicroBatch Accumulate(Tensor inputs, Tensor targets, int count, RoutingCall[] calls)
    {
        using var scope = NewDisposeScope();

        var (hidden, routing) = model.forward(inputs, null, null, calls);
        var loss = LanguageModelLoss(model, hidden, targets);
        if (routing.Count == 0)
        {
            GuardedBackward.Run(loss / count);
            return new MicroBatch(loss.item<float>(), 0, 0, [], []);
        }

        var z = BalanceLoss.ZLoss(routing);
        var total = options.ZLossCoefficient > 0 ? loss + z * options.ZLossCoefficient : loss;
        foreach (var pooled in options.PooledLosses) total = total + BalanceLoss.Of(pooled, routing);
        total = total / count;
        foreach (var (layer, statistics) in _moeLayers.Zip(routing))
        {
            // a global loss is this call's share of the step's, the others are means over micro-batches
            foreach (var own in layer.Options.LoadBalance) total = total + BalanceLoss.Of(own, [statistics]) / (own.Scope == BalanceScope.Global ? 1 : count);
        }

        GuardedBackward.Run(total);
        return new MicroBatch(loss.item<float>(), BalanceOf(routing), z.item<float>(), [.. routing.Select(layer => layer.Load)], [.. routing.Select(layer => layer.Plan)]);
    }

    private double BalanceOf(IReadOnlyList<RoutingStatistics> routing) =>
        options.PooledLosses.Count > 0 ? BalanceLoss.LoadBalance(routing).item<float>() : routing.Average(layer => layer.LoadBalanceLoss.item<float>());

    private sealed record MicroBatch(double Loss, double Balance, double Z, RoutingLoad[] Routing, RoutingPlan[] Plans);

    private sealed class Sums
    {
        private double _balance, _z;

        public double Loss { get; private set; }

        public RoutingLoad[] Routing { get; private set; } = [];

        public void Add(MicroBatch batch, int count)
        {
            Loss += batch.Loss / count;
            _balance += batch.Balance / count;
            _z += batch.Z / count;
            Routing = Routing.Length == 0 ? batch.Routing : [.. Routing.Zip(batch.Routing, (sum, load) => sum.Add(load))];
        }

        public StepMeasures ToMeasures(double norm) => new(Loss, _balance, _z, norm, Routing);
    }
}
