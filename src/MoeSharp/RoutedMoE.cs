using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using MoeSharp.Checkpoints;
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
    private readonly RouterJitter _jitter;
    private readonly UseCount _uses;
    private long _trainingCalls;

    /// <summary>Creates the layer with matrices from a normal distribution (standard deviation 0.02), biases of zero, scales of one.</summary>
    /// <param name="options">The layer; <see cref="MoeOptions.Shared"/> must be null (see <see cref="RoutedAndSharedMoE"/>).</param>
    /// <param name="device">Where the parameters lie; null for the CPU.</param>
    /// <param name="generator">The source of the initial weights; null for libtorch's global generator.</param>
    /// <param name="logger">Hears which backend was chosen; null for none.</param>
    /// <exception cref="ArgumentException">The options have faults; the message lists all of them.</exception>
    public RoutedMoE(MoeOptions options, Device? device = null, Generator? generator = null, ILogger? logger = null)
        : this(options, device, generator, logger, shape => Initial.Normal(shape, device, generator))
    {
    }

    /// <summary>A layer whose experts' matrices are what a function gives.</summary>
    internal RoutedMoE(MoeOptions options, Device? device, Generator? generator, ILogger? logger, Func<long[], Parameter> matrices)
        : base(nameof(RoutedMoE))
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (options.Shared is not null)
        {
            throw new ArgumentException("The options have a shared expert, which RoutedMoE does not compute; create a RoutedAndSharedMoE, or set Shared to null.", nameof(options));
        }

        Options = options;
        Gate = new GateLogit(options.HiddenSize, options.Router.ExpertCount, options.Router.HasLogitBias, device, generator, options.Router.InputNorm);
        Experts = new Experts(options.Experts, options.Router.ExpertCount, options.HiddenSize, device, matrices);
        _router = new Router(options, device);
        _jitter = new RouterJitter(options.Router);
        _compute = ExpertBackends.Create(options);
        _uses = new UseCount(Free);
        RegisterComponents();

        (logger ?? NullLogger.Instance).BackendChosen(_compute.Name, options.Backend, options.Router.ExpertCount);
    }

    /// <summary>Loads one MoE layer of a model in a folder: of any known family, plain or quantized. It is in evaluation mode.</summary>
    /// <param name="folder">A folder with <c>config.json</c> and weights; see docs/checkpoints.md for what is read.</param>
    /// <param name="layer">The layer's place in the model, from 0.</param>
    /// <param name="options">Where it lies, in which type; null for float32 on the CPU.</param>
    /// <param name="progress">Hears of every expert, from the thread that loaded it.</param>
    /// <param name="cancellationToken">Stops between experts.</param>
    /// <exception cref="CheckpointException">A file is damaged, of no known family, or config and tensors disagree; one message lists all that is wrong.</exception>
    /// <exception cref="ArgumentException">The layer is dense or there is none; or it has a shared expert: <see cref="RoutedAndSharedMoE.FromCheckpoint(string, int, LayerLoadOptions?, IProgress{LoadProgress}?, CancellationToken)"/> loads it.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static RoutedMoE FromCheckpoint(string folder, int layer, LayerLoadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        using var checkpoint = MoeCheckpoint.Open(folder);
        return FromCheckpoint(checkpoint, layer, options, progress, cancellationToken);
    }

    /// <summary>Loads one MoE layer of an open checkpoint; it keeps nothing of it.</summary>
    /// <inheritdoc cref="FromCheckpoint(string, int, LayerLoadOptions?, IProgress{LoadProgress}?, CancellationToken)"/>
    public static RoutedMoE FromCheckpoint(MoeCheckpoint checkpoint, int layer, LayerLoadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return new LayerLoader(checkpoint.Layer(layer), options ?? new(), progress, cancellationToken).Routed();
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

    /// <summary>The bias [E] that <see cref="Selection.QuantileBalance"/> takes off the logits, a buffer; null with other selections.</summary>
    public Tensor? QuantileBias => _router.QuantileBias;

    /// <summary>The experts of each token id [V, K], an int64 buffer; null without <see cref="Selection.TokenTable"/>. A fresh table spreads ids evenly.</summary>
    public Tensor? TokenTable => _router.Table;

    /// <summary>The scale [E] of each expert's weight; null without <see cref="RouterOptions.HasPerExpertScale"/>.</summary>
    public Parameter? PerExpertScale => _router.PerExpertScale;

    /// <summary>
    /// Called when a forward pass is about to read the experts' parameters, with the number of rows of each expert; null where the backend
    /// reads all of them. An optimiser that leaves idle experts for later takes their steps here.
    /// </summary>
    internal Action<IReadOnlyList<long>?>? BeforeExperts { get; set; }

    /// <summary>Runs the layer on hidden states [.., D], all of whose tokens count.</summary>
    public override MoeOutput forward(Tensor hidden) => forward(hidden, RoutingCall.Plain);

    /// <summary>Runs the layer on hidden states.</summary>
    /// <param name="hidden">The hidden states [.., S, D] of sequences of S tokens, of a floating type; no token at all is an ordinary case.</param>
    /// <param name="call">What the call brings besides: a mask, token ids, given experts.</param>
    /// <exception cref="ArgumentException">A tensor has the wrong shape, type or device, or is missing though the options ask for it.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number, or the call replays a trace of another layer or of other tokens.</exception>
    /// <exception cref="NotSupportedException">The backend is <see cref="ExpertBackend.Fused"/>, and the hidden states are of a type or on a device that it does not compute.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the rows of the plan.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public MoeOutput forward(Tensor hidden, RoutingCall call) => Run(hidden, call, shared: null);

    /// <summary>Runs the layer, and adds what a shared expert computes of every token; a mask is not for it.</summary>
    internal MoeOutput Run(Tensor hidden, RoutingCall call, SharedExpert? shared)
    {
        ArgumentNullException.ThrowIfNull(call);
        using var use = _uses.Enter(this);
        LayerInput.Check(hidden, call, Gate.Weight, Options.Router);

        using var scope = NewDisposeScope();
        var (plan, statistics) = Route(hidden, call, call.Step ?? (training ? Interlocked.Increment(ref _trainingCalls) - 1 : 0));
        BeforeExperts?.Invoke(_compute.SkipsIdleExperts ? plan.Counts : null);
        var tokens = Unmasked(hidden, call.TokenMask).reshape(-1, Options.HiddenSize);               // [T, D]
        var combined = shared is null ? _compute.Compute(tokens, plan, Experts) : _compute.Compute(tokens, plan, Experts, shared);  // [T, D]
        Telemetry.Count(statistics);

        return new MoeOutput(combined.reshape(hidden.shape).MoveToOuterDisposeScope(), statistics.MoveToOuterDisposeScope());
    }

    /// <summary>
    /// Only the routing of hidden states [.., S, D], to look at: what <see cref="forward(Tensor, RoutingCall)"/> would do next. The tensors
    /// belong to the caller's dispose scope.
    /// </summary>
    /// <exception cref="ArgumentException">A tensor has the wrong shape, type or device, or is missing though the options ask for it.</exception>
    /// <exception cref="MoeException">The routing of a token is not a number, or the call replays a trace of another layer or of other tokens.</exception>
    /// <exception cref="ObjectDisposedException">The layer was disposed.</exception>
    public RoutingTensors Plan(Tensor hidden, RoutingCall? call = null)
    {
        using var use = _uses.Enter(this);
        LayerInput.Check(hidden, call ?? RoutingCall.Plain, Gate.Weight, Options.Router);

        using var scope = NewDisposeScope();
        return Route(hidden, call ?? RoutingCall.Plain, call?.Step ?? (training ? Interlocked.Read(ref _trainingCalls) : 0)).Plan.MoveToOuterDisposeScope();
    }

    private (RoutingTensors Plan, RoutingStatistics Statistics) Route(Tensor hidden, RoutingCall call, long step)
    {
        using var _ = Telemetry.Step("route");
        var (B, S) = (hidden.dim() > 2 ? hidden.numel() / Options.HiddenSize / Math.Max(hidden.size(-2), 1) : 1, hidden.dim() > 1 ? hidden.size(-2) : 1);

        var input = _jitter.OfInput(Unmasked(call.RouterInput ?? hidden, call.TokenMask), step, training);
        var logits = _jitter.OfLogits(Gate.call(input), step, training).view(B, S, Options.Router.ExpertCount);
        return _router.Route(logits, call, step);
    }

    // what stands in masked places may be anything: as zeros it cannot reach the gradient of a weight
    private Tensor Unmasked(Tensor input, Tensor? mask) =>
        mask is null || Options.MaskScope != MaskScope.All ? input : input.masked_fill(mask.logical_not().unsqueeze(-1), 0);

    /// <summary>
    /// The balancing step of one optimiser step, without gradient: moves the correction bias by <see cref="MoeOptions.BalanceBias"/> and the
    /// quantile bias by <see cref="Selection.QuantileBalance"/>. Does nothing when the layer has neither, or they are frozen.
    /// </summary>
    /// <param name="load">The load of the step, <see cref="RoutingStatistics.Load"/> added over micro-batches and ranks.</param>
    /// <exception cref="ArgumentException">The load is of another number of experts, or of calls outside training.</exception>
    public void UpdateBalance(RoutingLoad load)
    {
        ArgumentNullException.ThrowIfNull(load);
        if (load.Routed.Count != Options.Router.ExpertCount)
            throw new ArgumentException($"The load is of {load.Routed.Count} experts; expected {Options.Router.ExpertCount}, those of this layer.", nameof(load));

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (Options.BalanceBias is { IsFrozen: false } balance) BalanceUpdate.Add(CorrectionBias!, balance, load);              // validated: a balance has a bias
        if (Options.Router.Select is Selection.QuantileBalance quantile) BalanceUpdate.Move(QuantileBias!, quantile, load);     // made with the selection
    }

    /// <summary>Frees the parameters, once calls that run have ended; it does not wait for them. Later calls throw <see cref="ObjectDisposedException"/>.</summary>
    /// <param name="disposing">Whether it was called, and not the finaliser.</param>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _uses.Close();
        else base.Dispose(disposing);
    }

    private void Free()
    {
        _compute.Release();
        base.Dispose(true);
    }
}
