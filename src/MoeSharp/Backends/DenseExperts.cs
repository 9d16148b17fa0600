using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Every expert on every token, then a sum with the weight of the chosen ones: the oracle, E / K times the work.</summary>
internal sealed class DenseExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo) : IExpertCompute
{
    private readonly BatchedExperts _experts = new(activation);
    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "dense";

    public bool SkipsIdleExperts => false;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        using var step = Telemetry.Step("experts");
        using var scope = NewDisposeScope();
        var (weights, isChosen) = plan.Dense();                                                     // [T, E]

        var inputs = _weightsInput
            ? (tokens.unsqueeze(0) * weights.t().unsqueeze(-1)).to(tokens.dtype)                    // [E, T, D]
            : tokens.unsqueeze(0);                                                                  // [1, T, D]
        var outputs = _experts.Run(inputs, experts);                                                // [E, T, D]

        var share = (_weightsInput ? isChosen : weights).t().unsqueeze(-1);                         // [E, T, 1]
        return (outputs * share).sum(0L).to(tokens.dtype).MoveToOuterDisposeScope();
    }
}
