using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>
/// One gated MLP per expert over the rows routed to it: group the rows by expert, run expert by expert, add each expert's weighted
/// outputs to the tokens they came from. An expert without rows costs nothing.
/// </summary>
/// <remarks>A token meets each expert at most once, so its sum has one fixed order: ascending expert ids.</remarks>
internal sealed class LoopExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo) : IExpertCompute
{
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "loop";

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        using var scope = NewDisposeScope();
        var order = plan.Order;                                                             // [R]
        var token = order.floor_divide(Math.Max(plan.Width, 1));                            // [R], the token of each row
        var weight = plan.Weights.flatten().index_select(0, order).unsqueeze(-1);           // [R, 1]
        long[] counts = [.. plan.Counts];

        var rows = Permute(tokens, token, weight);                                          // [R, D]
        var outputs = RunExperts(rows.split(counts, 0), experts);                           // per expert [its rows, D]
        var combined = Combine(outputs, token.split(counts, 0), weight.split(counts, 0), zeros_like(tokens, float32));

        return combined.to(tokens.dtype).MoveToOuterDisposeScope();
    }

    private Tensor Permute(Tensor tokens, Tensor token, Tensor weight)
    {
        using var _ = Telemetry.Step("permute");
        var rows = tokens.index_select(0, token);
        return _weightsInput ? (rows * weight).to(tokens.dtype) : rows;
    }

    private Tensor?[] RunExperts(Tensor[] rows, Experts experts)
    {
        using var _ = Telemetry.Step("experts");
        var parameters = new UnstackedExperts(experts, rows[0].dtype);
        bool isEmpty = rows.All(own => own.size(0) == 0); // then all experts run, on nothing, so that their gradients are zeros

        var outputs = new Tensor?[rows.Length];
        for (int e = 0; e < rows.Length; e++)
        {
            if (rows[e].size(0) > 0 || isEmpty) outputs[e] = RunExpert(e, rows[e], parameters);
        }

        return outputs;
    }

    private Tensor RunExpert(int e, Tensor rows, UnstackedExperts experts)
    {
        var gate = functional.linear(rows, experts.Gate[e], experts.GateBias?[e]);
        var up = functional.linear(rows, experts.Up[e], experts.UpBias?[e]);
        return functional.linear(activation(gate, up), experts.Down[e], experts.DownBias?[e]);
    }

    private Tensor Combine(Tensor?[] outputs, Tensor[] token, Tensor[] weight, Tensor sum)
    {
        using var _ = Telemetry.Step("combine");
        for (int e = 0; e < outputs.Length; e++)
        {
            if (outputs[e] is { } output) sum.index_add_(0, token[e], (_weightsInput ? output : output * weight[e]).to(float32), 1);
        }

        return sum;
    }
}
