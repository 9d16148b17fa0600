using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>What a layer or a router made of a case's inputs, and the tensors of a case that follow from it.</summary>
internal sealed class CaseResults(MoeOptions options, bool isTraining, CaseSubject subject)
{
    /// <summary>The layer's output [B, S, D]; null of a router alone.</summary>
    public Tensor? Hidden { get; init; }

    /// <summary>The routing of the layer, or of each layer whose logits were given.</summary>
    public required IReadOnlyList<(RoutingTensors Plan, RoutingStatistics Statistics)> Routing { get; init; }

    /// <summary>B and S.</summary>
    public required long[] Leading { get; init; }

    private IReadOnlyList<RoutingStatistics> Statistics => [.. Routing.Select(layer => layer.Statistics)];

    /// <summary>The float outputs by their names in a case; of several layers only the losses, which they share.</summary>
    public IEnumerable<(string Name, Func<Tensor> Values)> Outputs()
    {
        if (Hidden is not null) yield return ("output.y", () => Hidden);
        if (Routing.Count == 1) yield return ("output.weights", () => Shaped(Routing[0].Plan.Weights));
        if (Routing.Count == 1) yield return ("output.probs", Probs);
        if (!isTraining) yield break;

        yield return ("output.load_balance_loss", LoadBalance);
        yield return ("output.z_loss", ZLoss);
        if (Routing.Count > 1) yield break;

        var load = Routing[0].Statistics.Load;
        if (options.BalanceBias is { } balance)
        {
            // on its own the step keeps digits that it loses when it is added to a bias
            yield return ("output.bias_update", () => Moved(zeros(options.Router.ExpertCount), balance, load));
            yield return ("output.correction_bias_updated", () => Moved(subject.Parameters["router.correction_bias"], balance, load));
        }

        if (options.Router.Select is not Selection.QuantileBalance quantile) yield break;

        yield return ("output.quantile_bias_local", () => tensor(load.Quantiles!.ToArray()));       // training has them
        yield return ("output.quantile_bias_updated", () => Moved(subject.Parameters["router.quantile_bias"], quantile, load));
    }

    /// <summary>The selected experts [B, S, K], before dropping.</summary>
    public Tensor ExpertIds() => Shaped(Routing[0].Plan.Experts);

    /// <summary>1 where an expert gets a token [B, S, E], after dropping.</summary>
    public Tensor Map() => Shaped(Routing[0].Plan.Dense().IsChosen).to(ScalarType.Byte);

    /// <summary>What a case's gradients are of: Σ output · upstream, and in training the losses.</summary>
    public Tensor Objective(Tensor? upstreamHidden, Tensor? upstreamProbs)
    {
        List<Tensor> terms = [];
        if (upstreamHidden is not null) terms.Add((Hidden! * upstreamHidden).sum());        // only a layer case has such an upstream
        if (upstreamProbs is not null) terms.Add((Probs() * upstreamProbs).sum());
        if (isTraining) terms.Add(LoadBalance() + ZLoss());
        return terms.Aggregate(zeros(1).sum(), (sum, term) => sum + term);
    }

    private Tensor Probs() => Shaped(Routing[0].Plan.Dense().Weights);

    private Tensor LoadBalance() => options.LoadBalance.Aggregate(zeros(1).sum(), (sum, loss) => sum + BalanceLoss.Of(loss, Statistics));

    private Tensor ZLoss() => options.ZLossCoefficient > 0 ? BalanceLoss.ZLoss(Statistics) * options.ZLossCoefficient : zeros(1).sum();

    private Tensor Shaped(Tensor perToken) => perToken.view([.. Leading, perToken.size(-1)]);

    private static Tensor Moved(Tensor bias, BalanceBiasOptions options, RoutingLoad load)
    {
        using var _ = no_grad();
        var moved = bias.detach().clone();
        if (!options.IsFrozen) BalanceUpdate.Add(moved, options, load);
        return moved;
    }

    private static Tensor Moved(Tensor bias, Selection.QuantileBalance options, RoutingLoad load)
    {
        using var _ = no_grad();
        var moved = bias.detach().clone();
        BalanceUpdate.Move(moved, options, load);
        return moved;
    }
}
