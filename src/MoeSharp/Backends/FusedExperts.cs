using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// The kernels of <see cref="ForwardPass"/> and <see cref="BackwardPass"/>: float32 products on the CPU, on the parameters as they lie. Tokens
/// of bfloat16 are computed in float32 too, which costs the conversion and keeps more digits.
/// </summary>
/// <param name="options">The layer.</param>
/// <param name="other">Computes what the kernels do not: other devices and types; null to refuse it.</param>
internal sealed class FusedExperts(MoeOptions options, IExpertCompute? other) : IExpertCompute
{
    private readonly FusedKernels _kernels = new(options);

    public string Name => "fused";

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        if (!IsFor(tokens)) return (other ?? throw Refused(tokens)).Compute(tokens, plan, experts);

        using var _ = Telemetry.Step("experts");
        using var scope = NewDisposeScope();
        Tensor?[] arguments =
        [
            Dense(tokens), plan.Weights, Dense(experts.Gate), Dense(experts.Up), Dense(experts.Down),
            Dense(experts.GateBias), Dense(experts.UpBias), Dense(experts.DownBias),
        ];
        var sums = is_grad_enabled() && arguments.Any(argument => argument is { requires_grad: true })
            ? FusedFunction.apply([.. arguments, new FusedCall(_kernels, plan.Plan)])[0]
            : _kernels.Forward(new FusedInputs(arguments), plan.Plan, kept: null);
        return sums.to(tokens.dtype).MoveToOuterDisposeScope();
    }

    private static bool IsFor(Tensor tokens) =>
        tokens.device_type == TorchSharp.DeviceType.CPU && tokens.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    private static Tensor? Dense(Tensor? values) => values?.to(float32).contiguous();

    private static NotSupportedException Refused(Tensor tokens) =>
        new($"The backend is {ExpertBackend.Fused}, which computes float32, bfloat16 and float16 tokens on the CPU; these are {tokens.dtype} on {tokens.device}. Choose {ExpertBackend.Auto}, or move the tokens.");
}
