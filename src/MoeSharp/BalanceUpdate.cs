using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The rules by which routing biases follow the load of an optimiser step.</summary>
internal static class BalanceUpdate
{
    /// <summary>Moves a correction bias [E] against the load.</summary>
    public static void Add(Tensor bias, BalanceBiasOptions options, RoutingLoad load)
    {
        var loads = tensor(load.Counts(options.Counts, kind: 0).ToArray(), device: bias.device).to(float64);
        var lack = loads.mean() - loads;
        var step = options.Rule == BiasRule.Sign ? lack.sign() : lack / loads.mean().clamp_min(1e-30);
        bias.add_(step.to(bias.dtype), alpha: options.Rate);
    }

    /// <summary>Moves a quantile bias [E] towards the quantiles of the step and takes its mean off.</summary>
    /// <exception cref="ArgumentException">The load has no quantiles.</exception>
    public static void Move(Tensor bias, Selection.QuantileBalance options, RoutingLoad load)
    {
        var quantiles = load.Quantiles ?? throw new ArgumentException("The load has no quantiles: it is of calls outside training. Call layer.train() before the step.", nameof(load));
        var target = tensor(quantiles.ToArray(), device: bias.device);
        var moved = bias * options.Ema + target * (1 - options.Ema);
        bias.copy_(moved - moved.mean());
    }
}
