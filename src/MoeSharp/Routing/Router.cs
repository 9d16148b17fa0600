using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MoeSharp;

/// <summary>Chooses experts and weights from logits by the routing kernel; holds the router's parameters and buffers besides the gate's.</summary>
internal sealed class Router : Module
{
    private readonly RoutingKernel _kernel;

    /// <summary>The router of <paramref name="options"/>, which are valid.</summary>
    public Router(MoeOptions options, Device? device)
        : base(nameof(Router))
    {
        var router = options.Router;
        _kernel = new RoutingKernel(options);
        CorrectionBias = router.HasCorrectionBias ? Buffer(zeros(router.ExpertCount, float32, device)) : null;
        PerExpertScale = router.HasPerExpertScale ? Initial.Ones([router.ExpertCount], device) : null;
        QuantileBias = router.Select is Selection.QuantileBalance ? Buffer(zeros(router.ExpertCount, float32, device)) : null;
        Table = router.Select is Selection.TokenTable table ? Buffer(ExpertTable.Spread(table.VocabularySize, router, device)) : null;
        RegisterComponents();
    }

    [field: ComponentName(Name = "correction_bias")]
    public Tensor? CorrectionBias { get; }

    [field: ComponentName(Name = "per_expert_scale")]
    public Parameter? PerExpertScale { get; }

    [field: ComponentName(Name = "quantile_bias")]
    public Tensor? QuantileBias { get; }

    [field: ComponentName(Name = "table")]
    public Tensor? Table { get; }

    /// <summary>Routes float32 logits [B, S, E].</summary>
    public (RoutingTensors Plan, RoutingStatistics Statistics) Route(Tensor logits, RoutingCall call, long step)
    {
        using var scope = NewDisposeScope();
        var request = new RouteRequest(_kernel, checked((int)logits.size(0)), checked((int)logits.size(1)))
        {
            IsTraining = training,
            Step = step,
            Mask = Values<bool>(call.TokenMask),
            TokenIds = Values<long>(Table is null ? null : call.TokenIds),
            Table = call.Experts is null ? Table : null,
            Experts = Values<long>(call.Experts),
            CorrectionBias = Floats(CorrectionBias),
            PerExpertScale = Floats(PerExpertScale),
            QuantileBias = Floats(QuantileBias),
            Draws = call.Draws,
        };
        var (plan, statistics) = is_grad_enabled() ? Tracked(logits.flatten(0, 1), request, call) : Untracked(logits, request, call);
        return (plan.MoveToOuterDisposeScope(), statistics.MoveToOuterDisposeScope());
    }

    private (RoutingTensors Plan, RoutingStatistics Statistics) Tracked(Tensor logits, RouteRequest request, RoutingCall call)
    {
        var results = RouteFunction.apply(logits, PerExpertScale!, CorrectionBias!, request);
        var (weights, scores, z) = RouteFunction.Results(results[0], request);
        return (new RoutingTensors(weights, request.Plan!), new RoutingStatistics(_kernel, request.Plan!, new(() => request.Sums!, scores, z), call.StepLoad));      // the function filled them in
    }

    // without gradients nothing is summed until somebody asks
    private (RoutingTensors Plan, RoutingStatistics Statistics) Untracked(Tensor logits, RouteRequest request, RoutingCall call)
    {
        var onHost = TensorValues.OnHost(logits);
        var plan = request.Route(TensorValues.Of<float>(onHost));
        var sums = new StatisticsSource(() => _kernel.Sum(request.Input(TensorValues.Of<float>(onHost)), plan), logits.device, [onHost]);
        return (new RoutingTensors(RouteFunction.Weights(plan, logits.device), plan), new RoutingStatistics(_kernel, plan, sums, call.StepLoad));
    }

    private static T[]? Values<T>(Tensor? values)
        where T : unmanaged
    {
        if (values is null) return null;

        using var dense = values.detach().cpu().contiguous();
        return TensorValues.Of<T>(dense).ToArray();
    }

    // copies: a balance step may change them before the way back
    private static float[]? Floats(Tensor? values) => values is null ? null : TensorValues.Of<float>(TensorValues.OnHost(values)).ToArray();

    private static Tensor Buffer(Tensor values) => values.DetachFromDisposeScope();
}
