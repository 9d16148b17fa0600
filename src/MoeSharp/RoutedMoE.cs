using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>
/// A Mixture-of-Experts layer: each token goes to its top-k experts, and their outputs are added with the routing weights.
/// Hidden states [.., D] in, <see cref="MoeOutput"/> with the same shape and type out.
/// </summary>
/// <remarks>
/// The gate and the sum over experts compute in float32, the experts in the type of the input; parameters of another type are cast
/// once per call, with gradient (float32 master weights under bfloat16 activations). Components: <c>gate</c>, <c>router</c>,
/// <c>experts</c>. The same input gives the same bits for any number of threads, once <see cref="Reproducibility.Enable"/> was called.
/// Forward passes may run in parallel.
/// </remarks>
public sealed class RoutedMoE : Module<Tensor, MoeOutput>
{
    [ComponentName(Name = "router")]
    private readonly Router _router;
    private readonly IExpertCompute _compute;

    /// <summary>Creates the layer with matrices from a normal distribution (standard deviation 0.02), biases of zero, scales of one.</summary>
    /// <param name="options">The layer; <see cref="MoeOptions.Shared"/> must be null (see <see cref="RoutedAndSharedMoE"/>).</param>
    /// <param name="device">Where the parameters lie; null for the CPU.</param>
    /// <param name="generator">The source of the initial weights; null for libtorch's global generator.</param>
    /// <param name="logger">Hears which backend was chosen; null for none.</param>
    /// <exception cref="ArgumentException">The options have faults; the message lists all of them.</exception>
    public RoutedMoE(MoeOptions options, Device? device = null, Generator? generator = null, ILogger? logger = null)
        : base(nameof(RoutedMoE))
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (options.Shared is not null)
        {
            throw new ArgumentException("The options have a shared expert, which RoutedMoE does not compute; create a RoutedAndSharedMoE, or set Shared to null.", nameof(options));
        }

        Options = options;
        Gate = new GateLogit(options.HiddenSize, options.Router.ExpertCount, options.Router.HasLogitBias, device, generator);
        Experts = new Experts(options.Experts, options.Router.ExpertCount, options.HiddenSize, device, generator);
        _router = Router.Create(options.Router, device);
        _compute = ExpertBackends.Create(options);
        RegisterComponents();

        (logger ?? NullLogger.Instance).BackendChosen(_compute.Name, options.Backend, options.Router.ExpertCount);
    }

    /// <summary>What the layer was made from.</summary>
    public MoeOptions Options { get; }

    /// <summary>The router's matrix.</summary>
    [field: ComponentName(Name = "gate")]
    public GateLogit Gate { get; }

    /// <summary>The experts' parameters.</summary>
    [field: ComponentName(Name = "experts")]
    public Experts Experts { get; }

    /// <summary>The bias [E] on the scores for the selection only, a buffer; null without <see cref="RouterOptions.HasCorrectionBias"/>.</summary>
    public Tensor? CorrectionBias => _router.CorrectionBias;

    /// <summary>The scale [E] of each expert's weight; null without <see cref="RouterOptions.HasPerExpertScale"/>.</summary>
    public Parameter? PerExpertScale => _router.PerExpertScale;

    /// <summary>Runs the layer on hidden states [.., D], all of whose tokens count.</summary>
    public override MoeOutput forward(Tensor hidden) => forward(hidden, null);

    /// <summary>Runs the layer on hidden states.</summary>
    /// <param name="hidden">The hidden states [.., D], of a floating type; no token at all is an ordinary case.</param>
    /// <param name="tokenMask">Which tokens count in the statistics: bool [..], false for padding; null when all do. Padding is routed like any token.</param>
    /// <param name="routerInput">What the gate reads, in the shape of <paramref name="hidden"/>, where that is not what the experts read (Gemma 4).</param>
    /// <exception cref="ArgumentException">A tensor has the wrong shape, type or device.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public MoeOutput forward(Tensor hidden, Tensor? tokenMask, Tensor? routerInput = null)
    {
        ObjectDisposedException.ThrowIf(Gate.Weight.IsInvalid, this);
        LayerInput.Check(hidden, tokenMask, routerInput, Gate.Weight);

        using var scope = NewDisposeScope();
        var tokens = hidden.reshape(-1, Options.HiddenSize);                                // [T, D]

        var (logits, plan) = Route(routerInput?.reshape(-1, Options.HiddenSize) ?? tokens); // [T, E], [T, K]
        var combined = _compute.Compute(tokens, plan, Experts);                             // [T, D]
        var statistics = RoutingStatistics.Of(logits, plan, tokenMask?.flatten());
        Telemetry.Count(statistics);

        return new MoeOutput(combined.reshape(hidden.shape).MoveToOuterDisposeScope(), statistics.MoveToOuterDisposeScope());
    }

    /// <summary>Only the routing of hidden states [.., D], to look at; the tensors belong to the caller's dispose scope.</summary>
    /// <exception cref="ArgumentException">The tensor has the wrong shape, type or device.</exception>
    public RoutingPlan Plan(Tensor hidden)
    {
        ObjectDisposedException.ThrowIf(Gate.Weight.IsInvalid, this);
        LayerInput.Check(hidden, null, null, Gate.Weight);

        using var scope = NewDisposeScope();
        return Route(hidden.reshape(-1, Options.HiddenSize)).Plan.MoveToOuterDisposeScope();
    }

    private (Tensor Logits, RoutingPlan Plan) Route(Tensor tokens)
    {
        using var _ = Telemetry.Step("route");
        var logits = Gate.call(tokens);
        return (logits, _router.call(logits));
    }

    /// <summary>
    /// The loss-free balancing step: the correction bias of each expert moves by <paramref name="rate"/> up when its load is below the
    /// mean, down when above, and not at all at the mean (Wang et al. 2024, arXiv:2408.15664). No gradient.
    /// </summary>
    /// <param name="tokensPerExpert">The loads [E] of one optimiser step, <see cref="RoutingStatistics.TokensPerExpert"/> added over micro-batches.</param>
    /// <param name="rate">The size of the step; 0 or more, 0.001 in DeepSeek-V3.</param>
    /// <exception cref="InvalidOperationException">The layer has no correction bias.</exception>
    /// <exception cref="ArgumentException">The loads do not have one value per expert.</exception>
    public void UpdateCorrectionBias(Tensor tokensPerExpert, double rate)
    {
        ArgumentNullException.ThrowIfNull(tokensPerExpert);
        ArgumentOutOfRangeException.ThrowIfNegative(rate);
        var bias = CorrectionBias ?? throw new InvalidOperationException("The layer has no correction bias; set RouterOptions.HasCorrectionBias.");
        if (tokensPerExpert.dim() != 1 || tokensPerExpert.size(0) != Options.Router.ExpertCount)
        {
            throw new ArgumentException(
                $"The loads have shape [{string.Join(", ", tokensPerExpert.shape)}]; expected [{Options.Router.ExpertCount}], one per expert.", nameof(tokensPerExpert));
        }

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var load = tokensPerExpert.to(float64);
        bias.add_((load.mean() - load).sign().to(bias.dtype), alpha: rate);
    }
}
