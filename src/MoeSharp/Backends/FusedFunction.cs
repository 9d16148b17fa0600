using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp;

/// <summary>A call of the fused experts: what is no tensor.</summary>
/// <param name="Kernels">The passes.</param>
/// <param name="Plan">Who goes where.</param>
/// <param name="Type">What the products read.</param>
internal sealed record FusedCall(FusedKernels Kernels, RoutingPlan Plan, TileType Type);

/// <summary>
/// The autograd node of fused experts: apply(the tensors of <see cref="FusedInputs"/>, call) → [sums [T, D]]. It keeps what
/// <see cref="Recompute"/> says, and computes only the gradients that somebody needs.
/// </summary>
internal sealed class FusedFunction : GuardedFunction<FusedFunction>
{
    private const string CallKey = "call", NeedsKey = "needs";

    protected override List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
    {
        Tensor?[] tensors = [.. arguments.Take(FusedInputs.Count).Cast<Tensor?>()];
        var call = (FusedCall)arguments[FusedInputs.Count]!;        // given by the one caller, FusedExperts
        var kept = call.Kernels.EmptyKept(call.Plan, call.Type);

        var inputs = new FusedInputs(tensors);
        var sums = call.Kernels.Forward(call.Kernels.Matrices(inputs, call.Type), inputs.Tokens, call.Plan, kept);

        ctx.save_for_backward([.. tensors.OfType<Tensor>(), kept]);
        ctx.save_data(CallKey, call);
        ctx.save_data(NeedsKey, Needs(tensors));
        return [sums];
    }

    // null where there is no tensor; the gradients of gate and up come together
    private static bool?[] Needs(Tensor?[] tensors)
    {
        bool?[] needs = Array.ConvertAll(tensors, tensor => tensor?.requires_grad);
        (needs[2], needs[3]) = (needs[2] | needs[3], needs[2] | needs[3]);
        (needs[5], needs[6]) = (needs[5] | needs[6], needs[5] | needs[6]);
        return needs;
    }

    protected override List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
    {
        if (gradients[0] is not { IsInvalid: false } given) return [.. new Tensor?[FusedInputs.Count + 1]];
        if (is_grad_enabled()) throw new NotSupportedException($"Fused experts have no second derivative: their gradient is computed outside autograd. Choose the backend {ExpertBackend.Loop}.");

        using var scope = NewDisposeScope();
        var call = (FusedCall)ctx.get_data(CallKey);
        var needs = (bool?[])ctx.get_data(NeedsKey);
        var saved = new Queue<Tensor>(ctx.get_saved_variables());
        Tensor?[] tensors = Array.ConvertAll(needs, need => need is null ? null : saved.Dequeue());
        Tensor?[] targets = [.. tensors.Zip(needs, (tensor, need) => need is true ? ReusedMemory.Empty(tensor!.shape, tensor.dtype) : null)];

        call.Kernels.Backward(call.Kernels.Matrices(new FusedInputs(tensors), call.Type), new FusedInputs(tensors), call.Plan, kept: saved.Dequeue(), given.to(float32).contiguous(), new FusedInputs(targets));
        return [.. targets.Select(target => target?.MoveToOuterDisposeScope()), null];
    }
}
