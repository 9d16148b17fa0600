using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// The kernels of <see cref="ForwardPass"/> and <see cref="BackwardPass"/> on the CPU, on the parameters as they lie. Products are float32 but
/// for tokens of bfloat16, which are multiplied as that where the processor has instructions for it, and without a gradient wherever the
/// parameters are bfloat16. Elsewhere float32 costs the conversion and keeps more digits. Gradients of parameters have their type, and are
/// summed in float32.
/// </summary>
/// <param name="options">The layer.</param>
/// <param name="other">Computes what the kernels do not: other devices and types; null to refuse it.</param>
/// <param name="forBFloat16">What products read, of tokens of bfloat16; null to choose.</param>
internal sealed class FusedExperts(MoeOptions options, IExpertCompute? other, ExpertPrecision? forBFloat16 = null) : IExpertCompute
{
    private readonly FusedKernels _kernels = new(options);
    private readonly KeptWeights? _kept = options.KeepsPackedWeights ? new() : null, _keptShared = options.KeepsPackedWeights ? new() : null;

    public string Name => "fused";

    public bool SkipsIdleExperts => true;

    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts)
    {
        if (!IsFor(tokens)) return (other ?? throw Refused(tokens)).Compute(tokens, plan, experts);

        using var _ = Telemetry.Step("experts");
        using var scope = NewDisposeScope();
        var arguments = Arguments(tokens, plan, experts);
        var sums = HasGradient(arguments) ? Train(arguments, plan) : Infer(arguments, plan, shared: null);
        return As(tokens.dtype, sums).MoveToOuterDisposeScope();
    }

    // where there is a gradient the shared expert is libtorch's
    public Tensor Compute(Tensor tokens, RoutingTensors plan, Experts experts, SharedExpert shared)
    {
        using var scope = NewDisposeScope();
        var arguments = Arguments(tokens, plan, experts);
        if (!IsFor(tokens) || HasGradient([.. arguments, .. shared.parameters()]))
        {
            _keptShared?.Forget();
            return (Compute(tokens, plan, experts) + shared.call(tokens)).MoveToOuterDisposeScope();
        }

        using var _ = Telemetry.Step("experts");
        return As(tokens.dtype, Infer(arguments, plan, shared)).MoveToOuterDisposeScope();
    }

    public void Release()
    {
        _kept?.Forget();
        _keptShared?.Forget();
    }

    private static Tensor?[] Arguments(Tensor tokens, RoutingTensors plan, Experts experts) =>
        [tokens, plan.Weights, experts.Gate, experts.Up, experts.Down, experts.GateBias, experts.UpBias, experts.DownBias];

    private static bool HasGradient(Tensor?[] arguments) => is_grad_enabled() && arguments.Any(argument => argument is { requires_grad: true });

    private Tensor Train(Tensor?[] arguments, RoutingTensors plan)
    {
        Release();      // the parameters are about to change
        var given = new FusedInputs(arguments);
        bool areAsTheyLie = AreMatrices(given);
        if (areAsTheyLie) _kernels.MoveToHugePages(given);
        return FusedFunction.apply([.. Readable(arguments, areAsTheyLie).Select((argument, at) => FusedInputs.IsMatrix(at) ? Viewed(argument!) : argument), new FusedCall(_kernels, plan.Plan, TypeFor(given))])[0];
    }

    // a parameter takes a gradient over only from who holds it no longer, and else copies it; we hold ours until the scope ends, but not what the way back of a view makes of it
    private static Tensor Viewed(Tensor matrix) => matrix.unsqueeze(0);

    private TileType TypeFor(FusedInputs inputs)
    {
        if (inputs.Tokens.dtype != ScalarType.BFloat16) return TileType.Float32;

        return forBFloat16 is { } precision ? ExpertLayer.TypeOf(precision) : KernelCatalog.TypeForBFloat16;
    }

    private Tensor Infer(Tensor?[] arguments, RoutingTensors plan, SharedExpert? shared)
    {
        var given = new FusedInputs(arguments);
        bool areBFloat16 = given.Tokens.dtype == ScalarType.BFloat16;
        var type = areBFloat16 && given.Gate.dtype == ScalarType.BFloat16 && AreMatrices(given) ? TileType.BFloat16 : TypeFor(given);
        var tokens = Contiguous(areBFloat16 ? given.Tokens : As(ScalarType.Float32, given.Tokens));
        using var routed = Panels(arguments, type, options.Router.ExpertCount, _kept);
        if (shared is null) return _kernels.Forward(routed.Source, tokens, plan.Plan, kept: null);

        using var own = Panels([null, null, shared.Gate, shared.Up, shared.Down, null, null, null], type, 1, _keptShared);
        return _kernels.Forward(routed.Source, tokens, plan.Plan, kept: null, FusedKernels.Shared(own.Source, shared.Epilogue, Dense(shared.Router)));
    }

    private FusedPanels Panels(Tensor?[] arguments, TileType type, int experts, KeptWeights? kept)
    {
        bool areAsTheyLie = AreMatrices(new FusedInputs(arguments));
        var inputs = new FusedInputs(Readable(arguments, areAsTheyLie, FusedInputs.FirstParameter));
        var matrices = _kernels.Matrices(inputs, type);
        return new(matrices, kept is not null && areAsTheyLie && WeightsKey.Of(inputs, matrices, experts, type) is { } key ? kept.TryEnter(key, matrices.Shape, experts) : null);
    }

    // those from first on; matrices as they lie where the packing reads them
    private static Tensor?[] Readable(Tensor?[] arguments, bool areAsTheyLie, int first = 0)
    {
        var readable = new Tensor?[arguments.Length];
        for (int at = first; at < arguments.Length; at++) readable[at] = areAsTheyLie && FusedInputs.IsMatrix(at) ? arguments[at] : Dense(arguments[at]);
        return readable;
    }

    // of one type that the packing reads
    private static bool AreMatrices(FusedInputs inputs) =>
        inputs.Gate.dtype is ScalarType.Float32 or ScalarType.BFloat16 && inputs.Gate.dtype == inputs.Up.dtype && inputs.Gate.dtype == inputs.Down.dtype
        && inputs.Gate.is_contiguous() && inputs.Up.is_contiguous() && inputs.Down.is_contiguous();

    private static bool IsFor(Tensor tokens) =>
        tokens.device_type == TorchSharp.DeviceType.CPU && tokens.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    private static Tensor? Dense(Tensor? values) => values is null ? null : Contiguous(As(ScalarType.Float32, values));

    // no new tensor where there is nothing to do: with small experts each counts
    private static Tensor As(ScalarType type, Tensor values) => values.dtype == type ? values : values.to(type);

    private static Tensor Contiguous(Tensor values) => values.is_contiguous() ? values : values.contiguous();

    private static NotSupportedException Refused(Tensor tokens) =>
        new($"The backend is {ExpertBackend.Fused}, which computes float32, bfloat16 and float16 tokens on the CPU; these are {tokens.dtype} on {tokens.device}. Choose {ExpertBackend.Auto}, or move the tokens.");
}
