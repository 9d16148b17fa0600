using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The selections in TorchSharp operations; none carries a gradient.</summary>
internal sealed class TorchSelection(MoeOptions options, long sequences, long length)
{
    private readonly RouterOptions _router = options.Router;

    /// <summary>The experts [T, K] of logits [T, E], best first.</summary>
    public Tensor Experts(Tensor logits, Tensor scores, TorchRouter.Parts parts, RoutingCall call, bool isTraining, Tensor isRouted)
    {
        if (call.Experts is { } given) return given.flatten(0, -2);

        return _router.Select switch
        {
            Selection.TopK => Top(LimitGroups(parts.CorrectionBias is { } bias ? scores + bias : scores)),
            Selection.QuantileBalance => Top(logits - parts.QuantileBias!),         // a router with this selection has the bias
            Selection.Sinkhorn sinkhorn => Top(isTraining ? Sinkhorn(logits, isRouted, sinkhorn) : scores),
            Selection.TokenTable => parts.Table!.index_select(0, call.TokenIds!.flatten()),
            Selection.RoundRobin => arange(logits.size(0) * _router.TopK).remainder(_router.ExpertCount).view(-1, _router.TopK),
            Selection.Random => Top(Uniform(call.Step ?? 0, 2, logits.shape)),
            Selection.ExpertChoice => Chosen(scores, isRouted),
            Selection.SparseMixer mixer => TorchSparseMixer.Experts(mixer, logits, _router.Seed, call, isTraining),
            _ => throw new InvalidOperationException($"There is no selection {_router.Select} without given experts."),
        };
    }

    /// <summary>The kernel's draws, as a tensor.</summary>
    private Tensor Uniform(long step, int stream, long[] shape)
    {
        var random = new CounterRandom(_router.Seed, step, stream);
        return tensor(Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(place => random.Uniform(place)).ToArray()).view(shape);
    }

    // a stable sort: equal values in the order of ids
    private Tensor Top(Tensor choice) => choice.sort(-1, descending: true, stable: true).Indices.narrow(-1, 0, _router.TopK).contiguous();

    private Tensor LimitGroups(Tensor choice)
    {
        if (_router.GroupLimit is not { } limit) return choice;

        var grouped = choice.view(choice.size(0), limit.Groups, _router.ExpertCount / limit.Groups);   // [T, G, E/G]
        var ranks = grouped.topk(limit.Summed, -1).values.sum(-1);                                  // [T, G]
        var kept = ranks.sort(-1, descending: true, stable: true).Indices.narrow(-1, 0, limit.Keep);
        var isLost = ones_like(ranks, @bool).scatter(-1, kept, zeros_like(kept, @bool));
        return grouped.masked_fill(isLost.unsqueeze(-1), double.NegativeInfinity).view_as(choice);
    }

    private static Tensor Sinkhorn(Tensor logits, Tensor isRouted, Selection.Sinkhorn sinkhorn)
    {
        var costs = logits[isRouted].to(float64).exp();
        Tensor ofToken = ones(1, float64), ofExpert = ones(costs.size(1), float64);
        for (int iteration = 0; iteration < 1000 && costs.size(0) > 0; iteration++)
        {
            ofToken = 1.0 / costs.size(0) / ((costs * ofExpert).sum(1L) + sinkhorn.Epsilon);
            var next = 1.0 / costs.size(1) / ((costs * ofToken.unsqueeze(-1)).sum(0L) + sinkhorn.Epsilon);
            double change = (next - ofExpert).abs().mean().item<double>();
            ofExpert = next;
            if (change <= sinkhorn.Tolerance) break;
        }

        return zeros_like(logits).index_add(0, isRouted.nonzero().flatten(), (ofExpert * costs * ofToken.unsqueeze(-1)).to(float32), 1);
    }

    private Tensor Chosen(Tensor scores, Tensor isRouted)
    {
        var capacity = options.Dispatch.Capacity!;          // validated: expert choice has one
        var scopes = Capacity.Scopes(capacity, (int)sequences, (int)length);
        var isChosen = zeros_like(scores, @bool);
        foreach (var scope in scopes)
        {
            int start = scope.Start.Value, count = scope.End.Value - start;
            int slots = Math.Min(capacity.SlotsFor(count, _router.TopK, _router.ExpertCount), count);
            var own = scores.narrow(0, start, count).masked_fill(isRouted.narrow(0, start, count).logical_not().unsqueeze(-1), double.NegativeInfinity);
            var tokens = own.sort(0, descending: true, stable: true).Indices.narrow(0, 0, slots);   // [C, E]
            isChosen.narrow(0, start, count).scatter_(0, tokens, ones_like(tokens, @bool));
        }

        isChosen = isChosen.logical_and(isRouted.unsqueeze(-1));
        long width = isChosen.numel() == 0 ? 0 : isChosen.sum(-1).max().item<long>();
        var ids = isChosen.to(int8).sort(-1, descending: true, stable: true).Indices.narrow(-1, 0, width);
        return ids.masked_fill(isChosen.gather(-1, ids).logical_not(), -1);
    }
}
