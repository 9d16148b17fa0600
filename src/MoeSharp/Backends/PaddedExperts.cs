using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// Experts under a capacity as products of one shape: every expert computes exactly its slots, the free ones on zeros. The dense path of
/// systems that compile for fixed shapes.
/// </summary>
internal sealed class PaddedExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo) : IExpertCompute
{
    private readonly BatchedExperts _experts = new(activation);
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "padded";

    public bool SkipsIdleExperts => false;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        using var step = Telemetry.Step("experts");
        using var scope = NewDisposeScope();
        var places = Places(plan.Plan).to(tokens.device);                                           // [R]
        var order = plan.Order;                                                                     // [R]
        var weights = plan.Weights.flatten().index_select(0, order).unsqueeze(-1);                  // [R, 1]
        var token = order.floor_divide(Math.Max(plan.Width, 1));
        long E = plan.Plan.ExpertCount, slots = SlotsOfExpert(plan.Plan);

        var rows = tokens.index_select(0, token);
        if (_weightsInput) rows = (rows * weights).to(tokens.dtype);
        var buffer = zeros(E * slots, tokens.size(1), tokens.dtype, tokens.device).index_add(0, places, rows, 1);
        var outputs = _experts.Run(buffer.view(E, slots, tokens.size(1)), experts).flatten(0, 1);

        var kept = outputs.index_select(0, places).to(float32);
        var share = _weightsInput ? ones_like(plan.Weights) : plan.Weights;
        return Permutation.Unpermute(kept, order, share).to(tokens.dtype).MoveToOuterDisposeScope();
    }

    private static long SlotsOfExpert(RoutingPlan plan) => plan.ScopeLength == 0 ? 0 : (long)plan.TokenCount / plan.ScopeLength * plan.SlotsPerExpert;

    /// <summary>The slot of each kept pair among those of all experts and scopes.</summary>
    private static Tensor Places(RoutingPlan plan)
    {
        long slots = SlotsOfExpert(plan);
        long[] places = Array.ConvertAll(plan.Order, pair =>
        {
            int scope = pair / plan.Width / plan.ScopeLength;
            return (plan.Experts[pair] * slots) + ((long)scope * plan.SlotsPerExpert) + plan.Slots![pair];      // a capacity gives slots
        });
        return tensor(places);
    }
}
