using System.Diagnostics;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>A <see cref="RoutingPlan"/> as tensors, the weights with gradient. They belong to the dispose scope in which it was made.</summary>
/// <param name="Experts">The selected experts [T, K], int64, best first; -1 in free slots. Before dropping.</param>
/// <param name="Weights">The weight of each choice [T, K], float32, with gradient; 0 in free slots. Before dropping.</param>
/// <param name="Order">The R kept pairs sorted by expert, and within an expert by token, int64; pair = token · K + slot.</param>
/// <param name="Plan">The same on the host, with the slots of a capacity and the sums of losses.</param>
[DebuggerDisplay("{Plan.ToString(),nq}")]
public sealed record RoutingTensors(Tensor Experts, Tensor Weights, Tensor Order, RoutingPlan Plan)
{
    /// <summary>The number T of tokens.</summary>
    public long TokenCount => Plan.TokenCount;

    /// <summary>The number K of slots per token.</summary>
    public long Width => Plan.Width;

    /// <summary>The number of rows of each expert; E values that sum to R.</summary>
    public IReadOnlyList<long> Counts { get; } = [.. Enumerable.Range(0, Plan.ExpertCount).Select(expert => (long)(Plan.Offsets[expert + 1] - Plan.Offsets[expert]))];

    /// <summary>
    /// The plan in its dense form, after dropping: the weight of every (token, expert) with gradient, and 1 where the expert gets the token;
    /// both float32 [T, E], zero elsewhere.
    /// </summary>
    public (Tensor Weights, Tensor IsChosen) Dense()
    {
        using var scope = NewDisposeScope();
        var kept = Weights.flatten().index_select(0, Order);                                        // [R]
        var place = Order.floor_divide(Math.Max(Width, 1)) * Counts.Count + Experts.flatten().index_select(0, Order);
        var none = zeros(TokenCount * Counts.Count, float32, Weights.device);

        var weights = none.scatter(0, place, kept).view(TokenCount, Counts.Count);
        var isChosen = none.scatter(0, place, ones_like(kept)).view(TokenCount, Counts.Count);
        return (weights.MoveToOuterDisposeScope(), isChosen.MoveToOuterDisposeScope());
    }

    internal static RoutingTensors Of(RoutingPlan plan, Tensor weights) => new(
        Indices(plan.Experts).view(plan.TokenCount, plan.Width).to(weights.device),
        weights,
        Indices(plan.Order).to(weights.device),
        plan);

    private static Tensor Indices(int[] values)
    {
        var indices = empty(values.Length, ScalarType.Int64);
        var longs = MemoryMarshal.Cast<byte, long>(indices.bytes);
        for (int i = 0; i < values.Length; i++) longs[i] = values[i];
        return indices;
    }

    internal RoutingTensors MoveToOuterDisposeScope()
    {
        Experts.MoveToOuterDisposeScope();
        Weights.MoveToOuterDisposeScope();
        Order.MoveToOuterDisposeScope();
        return this;
    }
}
