using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// The kernels of <see cref="ForwardPass"/> and <see cref="BackwardPass"/> on the CPU: float32 products, on the parameters as they lie. Tokens
/// of bfloat16 are computed in float32 too, which costs the conversion and keeps more digits, but where the parameters are bfloat16 and there
/// is no gradient.
/// </summary>
/// <param name="options">The layer.</param>
/// <param name="other">Computes what the kernels do not: other devices and types; null to refuse it.</param>
internal sealed class FusedExperts(MoeOptions options, IExpertCompute? other) : IExpertCompute
{
    private readonly FusedKernels _kernels = new(options);
    private readonly KeptWeights? _kept = options.KeepsPackedWeights ? new() : null;

    public string Name => "fused";

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        if (!IsFor(tokens)) return (other ?? throw Refused(tokens)).Compute(tokens, plan, experts);

        using var _ = Telemetry.Step("experts");
        using var scope = NewDisposeScope();
        Tensor?[] arguments = [tokens, plan.Weights, experts.Gate, experts.Up, experts.Down, experts.GateBias, experts.UpBias, experts.DownBias];
        bool hasGradient = is_grad_enabled() && arguments.Any(argument => argument is { requires_grad: true });
        var sums = hasGradient ? Train(arguments, plan) : Infer(arguments, plan, experts);
        return sums.to(tokens.dtype).MoveToOuterDisposeScope();
    }

    public void Release() => _kept?.Forget();

    private Tensor Train(Tensor?[] arguments, RoutingTensors plan)
    {
        Release();      // the parameters are about to change
        return FusedFunction.apply([.. arguments.Select(Dense), new FusedCall(_kernels, plan.Plan)])[0];
    }

    private Tensor Infer(Tensor?[] arguments, RoutingTensors plan, Experts experts)
    {
        bool areAsTheyLie = AreMatrices(experts.Gate, experts.Up, experts.Down);
        var type = areAsTheyLie && experts.Gate.dtype == ScalarType.BFloat16 && arguments[0]!.dtype == ScalarType.BFloat16 ? TileType.BFloat16 : TileType.Float32;
        var inputs = new FusedInputs([.. arguments.Select((argument, at) => areAsTheyLie && FusedInputs.IsMatrix(at) ? argument : Dense(argument))]);
        var matrices = _kernels.Matrices(inputs, type);
        var store = areAsTheyLie ? _kept?.TryEnter(WeightsKey.Of(experts, matrices, type), matrices.Shape, options.Router.ExpertCount) : null;
        try
        {
            return _kernels.Forward(store?.Of(matrices) ?? matrices, inputs.Tokens, plan.Plan, kept: null);
        }
        finally
        {
            store?.Leave();
        }
    }

    // of one type that the packing reads
    private static bool AreMatrices(Tensor gate, Tensor up, Tensor down) =>
        gate.dtype is ScalarType.Float32 or ScalarType.BFloat16 && gate.dtype == up.dtype && gate.dtype == down.dtype
        && gate.is_contiguous() && up.is_contiguous() && down.is_contiguous();

    private static bool IsFor(Tensor tokens) =>
        tokens.device_type == TorchSharp.DeviceType.CPU && tokens.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    private static Tensor? Dense(Tensor? values) => values?.to(float32).contiguous();

    private static NotSupportedException Refused(Tensor tokens) =>
        new($"The backend is {ExpertBackend.Fused}, which computes float32, bfloat16 and float16 tokens on the CPU; these are {tokens.dtype} on {tokens.device}. Choose {ExpertBackend.Auto}, or move the tokens.");
}
