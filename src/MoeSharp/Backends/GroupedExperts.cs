using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// libtorch's <c>_grouped_mm</c>: one call multiplies the rows of every expert with its own matrix, three calls make a layer, on the CPU and
/// on CUDA. Autograd knows its gradient.
/// </summary>
/// <param name="activation">Of the gate and the up projection.</param>
/// <param name="applyTo">Where the routing weights go.</param>
/// <param name="other">Computes what <c>_grouped_mm</c> refuses: float64, and matrices whose rows are no multiple of 16 bytes.</param>
internal sealed class GroupedExperts(Func<Tensor, Tensor, Tensor> activation, WeightTarget applyTo, IExpertCompute other) : IExpertCompute
{
    private const int RowAlignment = 16;

    // TorchSharp has no binding; a script reaches it. Never freed, so compiled once; calls may run in parallel
    private static readonly jit.CompilationUnit Script = jit.compile("def grouped_mm(rows, matrices, ends):\n    return torch._grouped_mm(rows, matrices, ends)\n");

    private readonly bool _weightsInput = applyTo == WeightTarget.Input;

    public string Name => "grouped";

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        if (!IsFor(tokens, experts)) return other.Compute(tokens, plan, experts);

        using var scope = NewDisposeScope();
        var order = plan.Order;                                                                         // [R]
        var rows = Permute(tokens, plan, order);
        var outputs = RunExperts(rows, plan, order, experts);
        return Combine(outputs, plan, order).to(tokens.dtype).MoveToOuterDisposeScope();
    }

    private static bool IsFor(Tensor tokens, Experts experts) =>
        tokens.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16
        && tokens.size(-1) * tokens.ElementSize % RowAlignment == 0
        && experts.Gate.size(1) * tokens.ElementSize % RowAlignment == 0;

    private Tensor Permute(Tensor tokens, RoutingTensors plan, Tensor order)
    {
        using var _ = Telemetry.Step("permute");
        var rows = tokens.index_select(0, order.floor_divide(Math.Max(plan.Width, 1)));                // [R, D]
        return _weightsInput ? (rows * plan.Weights.flatten().index_select(0, order).unsqueeze(-1)).to(tokens.dtype) : rows;
    }

    private Tensor RunExperts(Tensor rows, RoutingTensors plan, Tensor order, Experts experts)
    {
        using var _ = Telemetry.Step("experts");
        var expert = plan.Experts.flatten().index_select(0, order);                                     // [R], the expert of each row
        var ends = tensor(plan.Plan.Offsets[1..], device: rows.device);                                 // [E], where the rows of each expert end

        var gate = Project(rows, experts.Gate, experts.GateBias, expert, ends);                         // [R, H]
        var up = Project(rows, experts.Up, experts.UpBias, expert, ends);
        return Project(activation(gate, up), experts.Down, experts.DownBias, expert, ends);             // [R, D]
    }

    private static Tensor Project(Tensor rows, Tensor weight, Tensor? bias, Tensor expert, Tensor ends)
    {
        var products = (Tensor)Script.invoke("grouped_mm", rows, weight.to(rows.dtype).transpose(1, 2), ends);
        return bias is null ? products : products + bias.to(rows.dtype).index_select(0, expert);
    }

    private Tensor Combine(Tensor outputs, RoutingTensors plan, Tensor order)
    {
        using var _ = Telemetry.Step("combine");
        return Permutation.Unpermute(outputs.to(float32), order, _weightsInput ? ones_like(plan.Weights) : plan.Weights);
    }
}
