using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp;

/// <summary>
/// The autograd node of <see cref="RoutingKernel"/>: apply(logits [T, E], per-expert scale or null, correction bias or null, request) →
/// one flat tensor of weights [T, K], score sums [kinds, G, E] and Σ logsumexp², which <see cref="Results"/> takes apart. One, because an
/// output that a loss does not use leaves a handle behind in every backward pass. On another device than the CPU it routes on the host.
/// </summary>
internal sealed class RouteFunction : GuardedFunction<RouteFunction>
{
    private const string RequestKey = "request";

    protected override List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
    {
        var request = (RouteRequest)arguments[3]!;      // given by the one caller, Router
        var logits = TensorValues.OnHost((Tensor)arguments[0]!);
        var input = request.Input(TensorValues.Of<float>(logits));
        var kept = empty(request.Kernel.KeptScores(input), float32);
        request.Plan = request.Route(input.Logits, TensorValues.Of<float>(kept));
        request.Sums = request.Kernel.Sum(input, request.Plan);
        request.Needs = (((Tensor?)arguments[1])?.requires_grad ?? false, ((Tensor?)arguments[2])?.requires_grad ?? false);
        ctx.save_for_backward([logits, kept]);
        ctx.save_data(RequestKey, request);

        using var parts = NewDisposeScope();
        return [cat([Weights(request.Plan, CPU).flatten(), Scores(request.Sums, CPU).flatten(), tensor((float)request.Sums.Z).view(1)]).to(((Tensor)arguments[0]!).device).MoveToOuterDisposeScope()];
    }

    /// <summary>The parts of the flat result: weights [T, K], score sums [kinds, G, E], Σ logsumexp².</summary>
    public static (Tensor Weights, Tensor Scores, Tensor Z) Results(Tensor flat, RouteRequest request)
    {
        var (plan, sums) = (request.Plan!, request.Sums!);        // the forward pass filled them in
        long pairs = plan.Weights.Length, scores = flat.numel() - pairs - 1;
        return (
            flat.narrow(0, 0, pairs).view(plan.TokenCount, plan.Width),
            flat.narrow(0, pairs, scores).view(sums.Scores.Count, sums.GroupCount, sums.ExpertCount),
            flat[pairs + scores]);
    }

    protected override List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
    {
        if (is_grad_enabled()) throw new NotSupportedException("Routing has no second derivative: its gradient is computed outside autograd.");

        using var scope = NewDisposeScope();
        var request = (RouteRequest)ctx.get_data(RequestKey);
        var saved = ctx.get_saved_variables();
        var (given, logits, kept) = (gradients[0]!, saved[0], saved[1]);      // the one output is always used
        Tensor? PerExpert(bool isNeeded) => isNeeded ? empty(request.Plan!.ExpertCount, float32) : null;

        var (dLogits, dScale, dBias) = (empty_like(logits), PerExpert(request.Needs.Scale), PerExpert(request.Needs.Bias));
        request.Kernel.Backward(
            request.Input(TensorValues.Of<float>(logits)),
            request.Plan!,
            TensorValues.Of<float>(kept),
            Upstream(TensorValues.OnHost(given), request.Plan!.Weights.Length),
            new RoutingGradients { Logits = TensorValues.Of<float>(dLogits), PerExpertScale = TensorValues.Of<float>(dScale), CorrectionBias = TensorValues.Of<float>(dBias) });
        Tensor? OnDevice(Tensor? gradient) => gradient?.to(given.device).MoveToOuterDisposeScope();
        return [OnDevice(dLogits), OnDevice(dScale), OnDevice(dBias), null];
    }

    // sums that no loss uses have a gradient of zeros, and cost nothing as an empty one
    private static RoutingUpstream Upstream(Tensor gradient, int pairs)
    {
        ReadOnlySpan<float> values = TensorValues.Of<float>(gradient);
        var scores = values[pairs..^1];
        return new() { Weights = values[..pairs], Scores = scores.ContainsAnyExcept(0f) ? scores : [], Z = values[^1] };
    }

    /// <summary>The weights [T, K] of a plan, without gradient.</summary>
    public static Tensor Weights(RoutingPlan plan, Device device)
    {
        var weights = empty(plan.TokenCount, plan.Width, float32);
        plan.Weights.CopyTo(TensorValues.Of<float>(weights));
        return device.type == TorchSharp.DeviceType.CPU ? weights : weights.to(device);
    }

    /// <summary>The score sums [kinds, G, E] of a call, without gradient.</summary>
    public static Tensor Scores(RoutingSums sums, Device device)
    {
        var scores = empty([sums.Scores.Count, sums.GroupCount, sums.ExpertCount], float32);
        var values = TensorValues.Of<float>(scores);
        foreach (var (kind, ofKind) in sums.Scores.Index()) ofKind.CopyTo(values[(kind * ofKind.Length)..]);
        return scores.to(device);
    }
}
