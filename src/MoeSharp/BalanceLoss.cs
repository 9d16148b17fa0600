using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The auxiliary losses of several layers together: sums over all their tokens first, then the formula (as transformers pools its layers).</summary>
public static class BalanceLoss
{
    /// <summary>
    /// E · Σ_e f_e · P_e with f and P over the tokens of all layers; a scalar with gradient, K for an even router, zero without tokens.
    /// It is not the mean of the layers' own losses: layers whose loads complement each other are pooled as even.
    /// </summary>
    /// <param name="layers">At least one; all with the same number of experts, on one device.</param>
    /// <exception cref="ArgumentException">There is no layer, or the layers have different numbers of experts.</exception>
    public static Tensor LoadBalance(IReadOnlyList<RoutingStatistics> layers)
    {
        long tokens = TokenCount(layers);

        using var scope = NewDisposeScope();
        var selections = Sum(layers, layer => layer.TokensPerExpert);               // [E]
        var scores = Sum(layers, layer => layer.ScoreSum);                          // [E]
        double factor = selections.size(0) / ((double)tokens * tokens);             // E, and one division each for f and P
        return ((selections.to(float64) * factor).to(float32) * scores).sum().MoveToOuterDisposeScope();
    }

    /// <summary>The mean over the tokens of all layers of logsumexp(logits)²; a scalar with gradient, zero without tokens.</summary>
    /// <param name="layers">At least one; all on one device.</param>
    /// <exception cref="ArgumentException">There is no layer.</exception>
    public static Tensor ZLoss(IReadOnlyList<RoutingStatistics> layers)
    {
        long tokens = TokenCount(layers);

        using var scope = NewDisposeScope();
        return (Sum(layers, layer => layer.ZSum) / tokens).MoveToOuterDisposeScope();
    }

    private static long TokenCount(IReadOnlyList<RoutingStatistics> layers)
    {
        ArgumentNullException.ThrowIfNull(layers);
        if (layers.Count == 0) throw new ArgumentException("There are no statistics to take a loss of; pass those of at least one layer.", nameof(layers));

        long experts = layers[0].TokensPerExpert.size(0);
        var other = layers.FirstOrDefault(layer => layer.TokensPerExpert.size(0) != experts);
        if (other is not null)
        {
            throw new ArgumentException(
                $"A layer has {other.TokensPerExpert.size(0)} experts, the first one {experts}; pool layers of one size only.", nameof(layers));
        }

        return Math.Max(layers.Sum(layer => layer.TokenCount), 1); // without tokens all sums are zero, and so is the loss
    }

    private static Tensor Sum(IReadOnlyList<RoutingStatistics> layers, Func<RoutingStatistics, Tensor> part) =>
        layers.Count == 1 ? part(layers[0]) : stack(layers.Select(part)).sum(0L);
}
