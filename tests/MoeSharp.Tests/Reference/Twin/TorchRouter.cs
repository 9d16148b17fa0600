using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>
/// The router once more in TorchSharp operations, step by step as <see cref="RouterOptions"/> describes it, differentiated by autograd.
/// The kernel is held against it.
/// </summary>
internal sealed class TorchRouter(MoeOptions options)
{
    private readonly RouterOptions _router = options.Router;

    /// <summary>What a router is made of besides its options; null for what the options do not have.</summary>
    public sealed record Parts(Tensor? CorrectionBias = null, Tensor? PerExpertScale = null, Tensor? QuantileBias = null, Tensor? Table = null);

    /// <summary>The experts and weights [T, K] (-1 and 0 in free slots), and the kept pairs sorted by expert.</summary>
    public sealed record Plan(Tensor Experts, Tensor Weights, Tensor Order, Tensor Counts);

    /// <summary>Routes logits [B, S, E].</summary>
    public Plan Route(Tensor logits, Parts parts, RoutingCall call, bool isTraining)
    {
        using var scope = NewDisposeScope();
        var tokens = logits.flatten(0, 1);                                                          // [T, E]
        var isRouted = call.TokenMask is { } mask && options.MaskScope == MaskScope.All ? mask.flatten() : ones(tokens.size(0), @bool);

        var scores = TorchScores.Of(_router.Score, tokens);
        var select = new TorchSelection(options, logits.size(0), logits.size(1));
        var experts = select.Experts(tokens.detach(), scores.detach(), parts, call, isTraining, isRouted);      // [T, K]
        experts = experts.masked_fill(isRouted.logical_not().unsqueeze(-1), -1);
        var weights = Weigh(tokens, scores, experts, parts.PerExpertScale, call, isTraining);

        var isKept = new TorchDispatch(options, logits.size(0), logits.size(1)).Kept(experts, weights.detach());
        var pairs = isKept.flatten().nonzero().flatten();                                           // [R]
        var expertOfPair = experts.flatten().index_select(0, pairs);
        var order = pairs.index_select(0, expertOfPair.sort(0, descending: false, stable: true).Indices);
        var counts = expertOfPair.bincount(null, _router.ExpertCount);
        return new Plan(experts.MoveToOuterDisposeScope(), weights.MoveToOuterDisposeScope(), order.MoveToOuterDisposeScope(), counts.MoveToOuterDisposeScope());
    }

    /// <summary>The sums over the counted tokens of each kind of scores [kinds, G, E], and of logsumexp².</summary>
    public (Tensor Scores, Tensor Z) Sums(Tensor logits, Parts parts, RoutingCall call, IReadOnlyList<ScoreKind> kinds, long groups)
    {
        using var scope = NewDisposeScope();
        var tokens = logits.flatten(0, 1);
        var counts = call.TokenMask is { } mask ? mask.flatten() : ones(tokens.size(0), @bool);
        var scores = TorchScores.Of(_router.Score, tokens);

        Tensor Sum(ScoreKind kind) => TorchScores.Of(kind, tokens, scores, parts.CorrectionBias).masked_fill(counts.logical_not().unsqueeze(-1), 0).view(groups, tokens.size(0) / Math.Max(groups, 1), _router.ExpertCount).sum(1L);
        var z = tokens.logsumexp(-1).square().masked_fill(counts.logical_not(), 0).sum();
        return (stack(kinds.Select(Sum)).MoveToOuterDisposeScope(), z.MoveToOuterDisposeScope());
    }

    private Tensor Weigh(Tensor logits, Tensor scores, Tensor experts, Tensor? perExpertScale, RoutingCall call, bool isTraining)
    {
        var isFree = experts.lt(0);
        var ids = experts.clamp_min(0);
        var raw = _router.Select is Selection.SparseMixer mixer ? TorchSparseMixer.Weights(mixer, logits, ids, call, isTraining)
            : _router.Weights == WeightSource.SoftmaxOfSelected ? logits.gather(-1, ids).masked_fill(isFree, double.NegativeInfinity).softmax(-1)
            : scores.gather(-1, ids);
        raw = raw.masked_fill(isFree, 0);

        var weights = raw / Divisor(raw) * _router.Scale;
        if (perExpertScale is not null) weights = weights * perExpertScale.index_select(0, ids.flatten()).view_as(ids);
        return weights.masked_fill(isFree, 0);
    }

    private Tensor Divisor(Tensor raw) => _router.Renormalize switch
    {
        Renormalization.Always => raw.sum(-1, keepdim: true) + _router.RenormalizeEpsilon,
        Renormalization.PNorm => raw.abs().pow(_router.RenormalizePower).sum(-1, keepdim: true).pow(1 / _router.RenormalizePower) + _router.RenormalizeEpsilon,
        _ => ones(1),
    };
}
