using System.Diagnostics;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Which experts each token goes to, with which weights, and the order that groups the work by expert.</summary>
/// <remarks>
/// The tensors belong to the dispose scope in which the plan was made. A row is one (token, slot) pair, numbered token · K + slot.
/// </remarks>
/// <param name="Experts">The chosen experts [T, K], int64, best first.</param>
/// <param name="Weights">The weight of each choice [T, K], float32, with gradient.</param>
/// <param name="Order">The T·K rows sorted by expert, and within an expert by token, int64.</param>
/// <param name="Counts">The number of rows of each expert; E values that sum to T·K.</param>
[DebuggerDisplay("{ToString(),nq}")]
public sealed record RoutingPlan(Tensor Experts, Tensor Weights, Tensor Order, IReadOnlyList<long> Counts)
{
    /// <summary>The number T of tokens.</summary>
    public long TokenCount => Experts.size(0);

    /// <summary>The number K of experts per token.</summary>
    public long TopK => Experts.size(1);

    internal static RoutingPlan Create(Tensor experts, Tensor weights, int expertCount)
    {
        var rows = experts.flatten();
        var order = rows.sort(0, descending: false, stable: true).Indices;
        var counts = rows.bincount(null, expertCount).cpu().data<long>().ToArray();
        return new RoutingPlan(experts, weights, order, counts);
    }

    internal RoutingPlan MoveToOuterDisposeScope()
    {
        Experts.MoveToOuterDisposeScope();
        Weights.MoveToOuterDisposeScope();
        Order.MoveToOuterDisposeScope();
        return this;
    }

    /// <summary>The sizes of the plan and the rows of each expert.</summary>
    public override string ToString() =>
        $"{TokenCount} tokens to {TopK} of {Counts.Count} experts, rows per expert [{string.Join(", ", Counts)}]";
}
