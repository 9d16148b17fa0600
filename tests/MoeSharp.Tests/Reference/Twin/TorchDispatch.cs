using static TorchSharp.torch;

namespace MoeSharp.Tests;

/// <summary>The rules of dropping in TorchSharp operations: pairs in order, a running count per expert or shard.</summary>
internal sealed class TorchDispatch(MoeOptions options, long sequences, long length)
{
    /// <summary>Which pairs [T, K] are kept.</summary>
    public Tensor Kept(Tensor experts, Tensor weights)
    {
        var isPair = experts.ge(0);
        var dispatch = options.Dispatch;
        if (dispatch.RaggedBuffer is { } buffer) return Received(buffer, experts, isPair);
        if (dispatch.Capacity is not { } capacity || experts.size(1) == 0) return isPair;

        using var scope = NewDisposeScope();
        long width = experts.size(1);
        var kept = zeros(experts.numel(), @bool);
        foreach (var range in Capacity.Scopes(capacity, (int)sequences, (int)length))
        {
            int first = range.Start.Value, count = range.End.Value - first;
            var order = Order(capacity, weights.narrow(0, first, count)) + first * width;          // [count · K]
            if (capacity.Drop == DropRule.Probability) order = order.index_select(0, weights.flatten().index_select(0, order).sort(0, descending: true, stable: true).Indices);

            var own = experts.flatten().index_select(0, order);
            var fits = Rank(own).lt(capacity.SlotsFor(count, options.Router.TopK, options.Router.ExpertCount)).logical_and(own.ge(0));
            kept.scatter_(0, order, fits);
        }

        return kept.view_as(experts).MoveToOuterDisposeScope();
    }

    /// <summary>How many pairs of the same key come before each one.</summary>
    private static Tensor Rank(Tensor keys) => keys.unsqueeze(0).eq(keys.unsqueeze(1)).tril(-1).sum(-1);

    private Tensor Order(CapacityOptions capacity, Tensor weights)
    {
        var (T, K) = (weights.size(0), weights.size(1));
        var pairs = arange(T * K).view(T, K);
        return capacity.Order switch
        {
            CapacityOrder.ChoiceFirst => pairs.t().flatten(),
            CapacityOrder.PriorityFirst => pairs.index_select(0, weights.select(1, 0).sort(0, descending: true, stable: true).Indices).t().flatten(),
            CapacityOrder.SequenceFirst when capacity.Scope == CapacityScope.Batch => pairs.view(sequences, length, K).transpose(0, 1).flatten(),
            _ => pairs.flatten(),
        };
    }

    private Tensor Received(RaggedBufferOptions buffer, Tensor experts, Tensor isPair)
    {
        using var scope = NewDisposeScope();
        var flat = experts.flatten();
        var sender = arange(flat.numel()).floor_divide(Math.Max(flat.numel() / buffer.Shards, 1));
        var order = (sender * (options.Router.ExpertCount + 1) + flat.clamp_min(-1) + 1).sort(0, descending: false, stable: true).Indices;     // by sender, expert, token
        var receiver = flat.index_select(0, order).clamp_min(-1).floor_divide(options.Router.ExpertCount / buffer.Shards);
        var fits = Rank(receiver).lt(buffer.SlotsFor((int)sequences, (int)length, options.Router.TopK));
        return zeros(flat.numel(), @bool).scatter(0, order, fits).view_as(experts).logical_and(isPair).MoveToOuterDisposeScope();
    }
}
