using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>
/// One gated MLP per expert over the rows routed to it. The rows are grouped once, and each expert adds its weighted outputs to the
/// tokens they came from. An expert without rows costs nothing.
/// </summary>
/// <remarks>A token meets each expert at most once, so its sum has one fixed order: ascending expert ids.</remarks>
internal sealed class LoopExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo) : IExpertCompute
{
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "loop";

    public Tensor Compute(Tensor tokens, RoutingPlan plan, Experts experts)
    {
        using var scope = NewDisposeScope();
        long[] counts = [.. plan.Counts];
        var parameters = new UnstackedExperts(experts, tokens.dtype);
        var token = plan.Order.floor_divide(plan.TopK);                                         // [T*K], the token of each row
        var weight = plan.Weights.flatten().index_select(0, plan.Order).unsqueeze(-1);          // [T*K, 1]
        var rows = tokens.index_select(0, token);                                               // [T*K, D]
        if (_weightsInput) rows = (rows * weight).to(tokens.dtype);

        var (tokenOf, weightOf, rowsOf) = (token.split(counts, 0), weight.split(counts, 0), rows.split(counts, 0));
        var sum = zeros_like(tokens, float32);                                                  // [T, D]
        for (int e = 0; e < counts.Length; e++)
        {
            if (counts[e] == 0 && plan.TokenCount > 0) continue; // without any token all of them run, on nothing: their gradients are zeros

            var outputs = Run(e, rowsOf[e], parameters);                                        // [rows of e, D]
            sum.index_add_(0, tokenOf[e], _weightsInput ? outputs.to(float32) : outputs * weightOf[e], 1);
        }

        return sum.to(tokens.dtype).MoveToOuterDisposeScope();
    }

    private Tensor Run(int e, Tensor rows, UnstackedExperts experts)
    {
        var gate = functional.linear(rows, experts.Gate[e], experts.GateBias?[e]);
        var up = functional.linear(rows, experts.Up[e], experts.UpBias?[e]);
        return functional.linear(activation(gate, up), experts.Down[e], experts.DownBias?[e]);
    }
}
