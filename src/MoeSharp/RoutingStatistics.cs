using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// How one call of one layer routed its tokens, kept as sums so that several layers, micro-batches or ranks add up exactly.
/// Masked tokens are in none of them. The tensors belong to the caller's dispose scope.
/// </summary>
public sealed class RoutingStatistics
{
    private readonly RoutingKernel _kernel;
    private readonly StatisticsSource _source;
    private readonly RoutingLoad? _stepLoad;
    private RoutingLoad? _load;

    internal RoutingStatistics(RoutingKernel kernel, RoutingPlan plan, StatisticsSource source, RoutingLoad? stepLoad)
    {
        (_kernel, Plan, _source, _stepLoad) = (kernel, plan, source, stepLoad);
    }

    /// <summary>Who went where, on the host.</summary>
    public RoutingPlan Plan { get; }

    /// <summary>
    /// The load of the experts, entropy and shares: plain numbers on the host. Without gradient they are computed when first asked for, from
    /// logits that end with the caller's dispose scope.
    /// </summary>
    public RoutingLoad Load => _load ??= RoutingLoad.Of(Sums);

    /// <summary>How many tokens chose each expert, before dropping: int64 [E], on the host.</summary>
    public Tensor TokensPerExpert => tensor(Load.Routed.ToArray());

    /// <summary>The sum over tokens of softmax(logits): float32 [E], with gradient. It is the softmax whatever the score function.</summary>
    public Tensor ScoreSum
    {
        get
        {
            using var scope = NewDisposeScope();
            return ScoreSums(0).sum(0L).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The sum over tokens of logsumexp(logits)²: a float32 scalar with gradient.</summary>
    public Tensor ZSum => _source.Z;

    /// <summary>The number of tokens counted.</summary>
    public long TokenCount => Load.Tokens;

    /// <summary>
    /// The load-balance loss of this layer alone without a coefficient: E · Σ_e f_e · P_e, where f_e is the number of selections of expert e
    /// per token (Σ f = K) and P_e its mean softmax score (Fedus et al. 2021, arXiv:2101.03961). An even router gives K. Zero without tokens.
    /// </summary>
    public Tensor LoadBalanceLoss => BalanceLoss.LoadBalance([this]);

    /// <summary>The router z-loss of this layer alone without a coefficient: the mean over tokens of logsumexp(logits)² (ST-MoE, arXiv:2202.08906).</summary>
    public Tensor ZLoss => BalanceLoss.ZLoss([this]);

    /// <summary>The sum of the losses that the layer's options ask for, with their coefficients; those that pool layers are left to <see cref="BalanceLoss.Of"/>.</summary>
    public Tensor AuxiliaryLoss
    {
        get
        {
            using var scope = NewDisposeScope();
            var loss = _kernel.Options.ZLossCoefficient > 0 ? ZLoss * _kernel.Options.ZLossCoefficient : zeros_like(ZSum);
            foreach (var balance in _kernel.Options.LoadBalance.Where(balance => !balance.PoolsLayers)) loss = loss + BalanceLoss.Of(balance, [this]);
            return loss.MoveToOuterDisposeScope();
        }
    }

    internal RoutingSums Sums => _source.Sums;

    /// <summary>The load that a loss of global scope is taken over.</summary>
    internal RoutingLoad StepLoad => _stepLoad ?? Load;

    /// <summary>The place of a loss's scores among the kernel's.</summary>
    /// <exception cref="ArgumentException">The layer took no sums for such a loss.</exception>
    internal int KindOf(LoadBalanceOptions loss)
    {
        int kind = _kernel.Kinds.Index().FirstOrDefault(each => each.Item == ScoreKind.Of(loss), (-1, default)).Index;
        bool isSummed = kind >= 0 && (loss.Scope != BalanceScope.Sequence || _kernel.SumsBySequence) && (loss.Counts != BalanceCounts.TopKOfScores || _kernel.CountsTopK[kind]);
        return isSummed ? kind : throw new ArgumentException($"A layer took no sums for a loss of scope {loss.Scope} with {loss.Scores} scores and {loss.Counts} counts; add the loss to LoadBalance of its options.", nameof(loss));
    }

    /// <summary>The sums over tokens of a kind of scores: float32 [G, E] with gradient.</summary>
    internal Tensor ScoreSums(int kind) => _source.Scores[kind];

    internal RoutingStatistics MoveToOuterDisposeScope()
    {
        _source.MoveToOuterDisposeScope();
        return this;
    }
}
