using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>The auxiliary losses of routers, from the sums that their layers return.</summary>
public static class BalanceLoss
{
    private static readonly LoadBalanceOptions Plain = new() { Coefficient = 1, Scope = BalanceScope.Batch, PoolsLayers = true };

    /// <summary>
    /// E · Σ_e f_e · P_e with f and P over the tokens of all layers; a scalar with gradient, K for an even router, zero without tokens.
    /// It is not the mean of the layers' own losses: layers whose loads complement each other are pooled as even.
    /// </summary>
    /// <param name="layers">At least one; all with the same number of experts, on one device.</param>
    /// <exception cref="ArgumentException">There is no layer, or the layers have different numbers of experts.</exception>
    public static Tensor LoadBalance(IReadOnlyList<RoutingStatistics> layers) => Of(Plain, layers);

    /// <summary>
    /// A load-balance loss over the tokens of all given layers: counts and scores are summed before the product. Of
    /// <see cref="BalanceScope.Sequence"/> each layer has losses of its own, which are added.
    /// </summary>
    /// <param name="loss">
    /// The loss: one of the layers' options (<see cref="MoeOptions.LoadBalance"/>), for which they take sums; or one of another scope that
    /// averages softmax scores over real routing, for which there are sums always.
    /// </param>
    /// <param name="layers">At least one; all with the same number of experts, on one device. One layer for its own loss.</param>
    /// <returns>A scalar with gradient, times the coefficient; zero without tokens.</returns>
    /// <exception cref="ArgumentException">There is no layer, the layers have different numbers of experts, or a layer took no sums for such a loss.</exception>
    public static Tensor Of(LoadBalanceOptions loss, IReadOnlyList<RoutingStatistics> layers)
    {
        ArgumentNullException.ThrowIfNull(loss);
        CheckLayers(layers);

        using var scope = NewDisposeScope();
        var terms = layers.Select(layer =>
        {
            var scores = layer.ScoreSums(layer.KindOf(loss));                                               // [G, E]
            float[] factors = loss.Scope == BalanceScope.Sequence ? PerSequence(loss, layer) : Together(loss, layers, layer);
            return (scores * tensor(factors, device: scores.device).view_as(scores)).sum();
        });
        return terms.Aggregate((sum, term) => sum + term).MoveToOuterDisposeScope();
    }

    /// <summary>The mean over the tokens of all layers of logsumexp(logits)²; a scalar with gradient, zero without tokens.</summary>
    /// <param name="layers">At least one; all on one device.</param>
    /// <exception cref="ArgumentException">There is no layer.</exception>
    public static Tensor ZLoss(IReadOnlyList<RoutingStatistics> layers)
    {
        CheckLayers(layers, sameSize: false);

        using var scope = NewDisposeScope();
        var sum = layers.Select(layer => layer.ZSum).Aggregate((a, b) => a + b);
        return (sum / Math.Max(layers.Sum(layer => layer.TokenCount), 1)).MoveToOuterDisposeScope();
    }

    /// <summary>What multiplies each score sum [G, E] when every sequence has its own loss: coefficient · E / G · f / tokens.</summary>
    private static float[] PerSequence(LoadBalanceOptions loss, RoutingStatistics layer)
    {
        var sums = layer.Sums;
        int experts = sums.ExpertCount;
        int[] counts = loss.Counts switch
        {
            BalanceCounts.Kept => sums.Kept,
            BalanceCounts.TopKOfScores => sums.TopKOfScores[layer.KindOf(loss)]!,       // KindOf says whether there are some
            _ => sums.Routed,
        };

        float[] factors = new float[counts.Length];
        for (int i = 0; i < factors.Length; i++)
        {
            double tokens = Math.Max(sums.Tokens[i / experts], 1);
            factors[i] = (float)(loss.Coefficient * experts / sums.GroupCount * counts[i] / (tokens * tokens));
        }

        return factors;
    }

    /// <summary>The same when all tokens have one loss: coefficient · E · f / tokens, for every group.</summary>
    private static float[] Together(LoadBalanceOptions loss, IReadOnlyList<RoutingStatistics> layers, RoutingStatistics layer)
    {
        int experts = layer.Sums.ExpertCount;
        double[] counts = new double[experts];
        double tokens = 0;
        foreach (var each in layers)
        {
            var load = loss.Scope == BalanceScope.Global ? each.StepLoad : each.Load;
            tokens += load.Tokens;
            foreach (var (expert, count) in load.Counts(loss.Counts, each.KindOf(loss)).Index()) counts[expert] += count;
        }

        tokens = Math.Max(tokens, 1);       // without tokens all sums are zero, and so is the loss
        float[] factors = new float[layer.Sums.GroupCount * experts];
        for (int i = 0; i < factors.Length; i++) factors[i] = (float)(loss.Coefficient * experts * counts[i % experts] / (tokens * tokens));
        return factors;
    }

    private static void CheckLayers(IReadOnlyList<RoutingStatistics> layers, bool sameSize = true)
    {
        ArgumentNullException.ThrowIfNull(layers);
        if (layers.Count == 0) throw new ArgumentException("There are no statistics to take a loss of; pass those of at least one layer.", nameof(layers));

        int experts = layers[0].Sums.ExpertCount;
        var other = layers.FirstOrDefault(layer => layer.Sums.ExpertCount != experts);
        if (sameSize && other is not null)
            throw new ArgumentException($"A layer has {other.Sums.ExpertCount} experts, the first one {experts}; pool layers of one size only.", nameof(layers));
    }
}
