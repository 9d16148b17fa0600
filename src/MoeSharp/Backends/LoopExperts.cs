using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>One gated MLP per expert over the rows routed to it: permute once, multiply expert by expert, combine in slot order.</summary>
/// <remarks>An expert without rows costs nothing. Each output element is summed over its K slots in one fixed order.</remarks>
internal sealed class LoopExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo) : IExpertCompute
{
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "loop";

    public Tensor Compute(Tensor tokens, RoutingPlan plan, Experts experts)
    {
        using var scope = NewDisposeScope();
        var weights = plan.Weights;                                                       // [T, K]

        var rows = tokens.index_select(0, plan.Order.floor_divide(plan.TopK));            // [T*K, D], grouped by expert
        if (_weightsInput) rows = (rows * weights.flatten().index_select(0, plan.Order).unsqueeze(-1)).to(tokens.dtype);

        var outputs = RunExperts(rows, plan.Counts, experts);                             // [T*K, D]

        var slot = empty_like(plan.Order).scatter_(0, plan.Order, arange(plan.Order.numel(), int64, plan.Order.device));
        var bySlot = outputs.index_select(0, slot).view(plan.TokenCount, plan.TopK, -1);  // [T, K, D]
        var weighted = _weightsInput ? bySlot.to(float32) : bySlot * weights.unsqueeze(-1);

        return weighted.sum(1L).to(tokens.dtype).MoveToOuterDisposeScope();
    }

    private Tensor RunExperts(Tensor rows, IReadOnlyList<long> counts, Experts experts)
    {
        var type = rows.dtype;
        // unbind: the backward of indexing one expert would fill a gradient of the full stack for each
        var gate = experts.Gate.to(type).unbind(0);
        var up = experts.Up.to(type).unbind(0);
        var down = experts.Down.to(type).unbind(0);
        var gateBias = experts.GateBias?.to(type).unbind(0);
        var upBias = experts.UpBias?.to(type).unbind(0);
        var downBias = experts.DownBias?.to(type).unbind(0);
        var inputs = rows.split([.. counts], 0);

        var outputs = new List<Tensor>(counts.Count);
        for (int e = 0; e < counts.Count; e++)
        {
            if (counts[e] == 0 && rows.size(0) > 0) continue; // without any row, each expert takes none, and its gradient is zero

            var hidden = activation(functional.linear(inputs[e], gate[e], gateBias?[e]), functional.linear(inputs[e], up[e], upBias?[e]));
            outputs.Add(functional.linear(hidden, down[e], downBias?[e]));
        }

        return cat(outputs, 0);
    }
}
