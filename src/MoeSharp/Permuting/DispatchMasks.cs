using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// A routing under a capacity as masks, the form of GShard, Mesh TensorFlow and MaxText's dense path: einsum(dispatch, tokens) fills the
/// experts' slots, einsum(combine, outputs) adds them up. Large; an oracle, and a bridge to code that is written so.
/// </summary>
public static class DispatchMasks
{
    /// <summary>The masks of a plan.</summary>
    /// <param name="plan">A plan of B sequences of S tokens, made under a <see cref="CapacityOptions"/>.</param>
    /// <param name="sequences">The number B of sequences.</param>
    /// <returns>
    /// Dispatch: float32 [B, S, E, C], 1 where a token sits in an expert's slot. Combine: the same with the weight, with gradient. A
    /// capacity per sequence or part of one counts its slots from 0 in each.
    /// </returns>
    /// <exception cref="ArgumentException">The plan has no capacity, or its tokens are not so many sequences.</exception>
    public static (Tensor Dispatch, Tensor Combine) Of(RoutingTensors plan, int sequences)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (plan.Plan.Slots is not { } slots || plan.Plan.ScopeLength == 0) throw new ArgumentException("The plan has no capacity: it was made without Dispatch.Capacity, or of no token.", nameof(plan));
        if (sequences < 1 || plan.TokenCount % sequences != 0) throw new ArgumentException($"{plan.TokenCount} tokens are not {sequences} sequences of one length.", nameof(sequences));

        using var scope = NewDisposeScope();
        var (T, E, C) = (plan.TokenCount, plan.Plan.ExpertCount, plan.Plan.SlotsPerExpert);
        var place = tensor(Array.ConvertAll(plan.Plan.Order, pair => ((((long)pair / plan.Width) * E) + plan.Plan.Experts[pair]) * C + slots[pair])).to(plan.Weights.device);
        var kept = plan.Weights.flatten().index_select(0, plan.Order);
        var none = zeros(T * E * C, float32, plan.Weights.device);

        Tensor Mask(Tensor values) => none.scatter(0, place, values).view(sequences, T / sequences, E, C).MoveToOuterDisposeScope();
        return (Mask(ones_like(kept)), Mask(kept));
    }
}
