using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp;

/// <summary>
/// The autograd node of <see cref="RoutingKernel"/>: apply(logits [T, E], per-expert scale or null, correction bias or null, request) →
/// [weights [T, K], score sums [kinds, G, E], Σ logsumexp²]. On another device than the CPU it routes on the host.
/// </summary>
internal sealed class RouteFunction : GuardedFunction<RouteFunction>
{
    private const string RequestKey = "request";

    protected override List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
    {
        var request = (RouteRequest)arguments[3]!;      // given by the one caller, Router
        var (logits, scale, bias) = (OnHost((Tensor)arguments[0]!), OnHost((Tensor?)arguments[1]), OnHost((Tensor?)arguments[2]));
        var device = ((Tensor)arguments[0]!).device;
        var kept = empty_like(logits);

        var input = request.Input(Values(logits), Values(scale), Values(bias));
        var plan = request.Kernel.Route(input, Values(kept));
        var sums = request.Kernel.Sum(input, plan);
        (request.Plan, request.Sums) = (plan, sums);
        request.Needs = (((Tensor?)arguments[1])?.requires_grad ?? false, ((Tensor?)arguments[2])?.requires_grad ?? false);
        ctx.save_for_backward([.. new[] { logits, kept, scale, bias }.OfType<Tensor>()]);
        ctx.save_data(RequestKey, request);

        return [Weights(plan, device), Scores(sums, device), tensor((float)sums.Z, device: device)];
    }

    protected override List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
    {
        if (is_grad_enabled()) throw new NotSupportedException("Routing has no second derivative: its gradient is computed outside autograd.");

        using var scope = NewDisposeScope();
        var request = (RouteRequest)ctx.get_data(RequestKey);
        var saved = new Queue<Tensor>(ctx.get_saved_variables());
        var (device, logits, kept) = (gradients.First(given => given is { IsInvalid: false })!.device, saved.Dequeue(), saved.Dequeue());
        var router = request.Kernel.Options.Router;
        var scale = router.HasPerExpertScale ? saved.Dequeue() : null;
        var bias = router.HasCorrectionBias ? saved.Dequeue() : null;

        var (dLogits, dScale, dBias) = (empty_like(logits), request.Needs.Scale ? empty_like(scale!) : null, request.Needs.Bias ? empty_like(bias!) : null);
        var (weights, scores, z) = (OnHost(Given(gradients[0])), OnHost(Given(gradients[1])), Given(gradients[2])?.item<float>() ?? 0);
        request.Kernel.Backward(
            request.Input(Values(logits), Values(scale), Values(bias)),
            request.Plan!,
            Values(kept),
            new RoutingUpstream { Weights = Values(weights), Scores = Values(scores), Z = z },
            new RoutingGradients { Logits = Values(dLogits), PerExpertScale = Values(dScale), CorrectionBias = Values(dBias) });
        return [dLogits.to(device).MoveToOuterDisposeScope(), dScale?.to(device).MoveToOuterDisposeScope(), dBias?.to(device).MoveToOuterDisposeScope(), null];
    }

    /// <summary>The weights [T, K] of a plan, without gradient.</summary>
    public static Tensor Weights(RoutingPlan plan, Device device)
    {
        var weights = empty(plan.TokenCount, plan.Width, float32);
        plan.Weights.CopyTo(Values(weights));
        return weights.to(device);
    }

    /// <summary>The score sums [kinds, G, E] of a call, without gradient.</summary>
    public static Tensor Scores(RoutingSums sums, Device device)
    {
        var scores = empty([sums.Scores.Count, sums.GroupCount, sums.ExpertCount], float32);
        var values = Values(scores);
        foreach (var (kind, ofKind) in sums.Scores.Index()) ofKind.CopyTo(values[(kind * ofKind.Length)..]);
        return scores.to(device);
    }

    /// <summary>Values as the kernel reads them: float32, dense, on the host.</summary>
    [return: NotNullIfNotNull(nameof(values))]
    public static Tensor? OnHost(Tensor? values) => values?.detach().to(float32).cpu().contiguous();

    /// <summary>The memory of a dense float32 tensor on the host.</summary>
    public static Span<float> Values(Tensor? values) => values is null || values.numel() == 0 ? [] : MemoryMarshal.Cast<byte, float>(values.bytes);

    private static Tensor? Given(Tensor? gradient) => gradient is { IsInvalid: false } ? gradient : null;
}
