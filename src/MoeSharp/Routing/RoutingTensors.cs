using System.Diagnostics;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// A <see cref="RoutingPlan"/> as tensors, the weights with gradient. Those belong to the dispose scope in which it was made; the others are
/// made when asked for, each time anew, for the caller's scope.
/// </summary>
/// <param name="Weights">The weight of each choice [T, K], float32, with gradient; 0 in free slots. Before dropping.</param>
/// <param name="Plan">The same on the host, with the slots of a capacity.</param>
[DebuggerDisplay("{Plan.ToString(),nq}")]
public sealed record RoutingTensors(Tensor Weights, RoutingPlan Plan)
{
    /// <summary>The number T of tokens.</summary>
    public long TokenCount => Plan.TokenCount;

    /// <summary>The number K of slots per token.</summary>
    public long Width => Plan.Width;

    /// <summary>The selected experts [T, K], int64, best first; -1 in free slots. Before dropping.</summary>
    public Tensor Experts => Indices(Plan.Experts, [TokenCount, Width]);

    /// <summary>The R kept pairs sorted by expert, and within an expert by token, int64; pair = token · K + slot.</summary>
    public Tensor Order => Indices(Plan.Order, [Plan.Order.Length]);

    /// <summary>The number of rows of each expert; E values that sum to R.</summary>
    public IReadOnlyList<long> Counts => [.. Enumerable.Range(0, Plan.ExpertCount).Select(expert => (long)(Plan.Offsets[expert + 1] - Plan.Offsets[expert]))];

    /// <summary>
    /// The plan in its dense form, after dropping: the weight of every (token, expert) with gradient, and 1 where the expert gets the token (a
    /// token table may name an expert twice: then it is the sum of both weights); both float32 [T, E], zero elsewhere.
    /// </summary>
    public (Tensor Weights, Tensor IsChosen) Dense()
    {
        using var scope = NewDisposeScope();
        var (order, E) = (Order, Plan.ExpertCount);
        var kept = Weights.flatten().index_select(0, order);                                        // [R]
        var place = order.floor_divide(Math.Max(Width, 1)) * E + Experts.flatten().index_select(0, order);
        var none = zeros(TokenCount * E, float32, Weights.device);

        var weights = none.scatter_add(0, place, kept).view(TokenCount, E);
        var isChosen = none.scatter(0, place, ones_like(kept)).view(TokenCount, E);
        return (weights.MoveToOuterDisposeScope(), isChosen.MoveToOuterDisposeScope());
    }

    internal RoutingTensors MoveToOuterDisposeScope()
    {
        Weights.MoveToOuterDisposeScope();
        return this;
    }

    private Tensor Indices(int[] values, long[] shape)
    {
        using var scope = NewDisposeScope();
        return TensorValues.Indices(values, shape).to(Weights.device).MoveToOuterDisposeScope();
    }
}
