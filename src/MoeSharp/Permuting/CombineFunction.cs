using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp;

/// <summary>The autograd node of <see cref="PermutationKernel"/>: apply(rows [R, D], weights [T, K], order [R]) → [sums [T, D]].</summary>
internal sealed class CombineFunction : GuardedFunction<CombineFunction>
{
    private const string PlacesKey = "places";

    protected override unsafe List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
    {
        var (rows, weights, order) = (((Tensor)arguments[0]!).contiguous(), ((Tensor)arguments[1]!).contiguous(), (Tensor)arguments[2]!);
        int[] places = Places(order, weights.numel());
        var (tokens, width, size) = ((int)weights.size(0), (int)weights.size(1), (int)rows.size(1));
        var sums = empty(tokens, size, float32);

        fixed (int* at = places) PermutationKernel.Combine(Start(rows), at, Start(weights), Start(sums), tokens, width, size);

        ctx.save_for_backward([rows, weights]);
        ctx.save_data(PlacesKey, places);
        return [sums];
    }

    protected override unsafe List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
    {
        if (gradients[0] is not { IsInvalid: false } given) return [null, null, null];
        if (is_grad_enabled()) throw new NotSupportedException("Unpermute has no second derivative: its gradient is computed outside autograd.");

        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (rows, weights, upstream) = (saved[0], saved[1], given.contiguous());
        int[] places = (int[])ctx.get_data(PlacesKey);
        var (dRows, dWeights) = (empty_like(rows), empty_like(weights));

        fixed (int* at = places)
        {
            PermutationKernel.Backward(Start(rows), at, Start(weights), Start(upstream), Start(dRows), Start(dWeights), (int)weights.size(0), (int)weights.size(1), (int)rows.size(1));
        }

        return [dRows.MoveToOuterDisposeScope(), dWeights.MoveToOuterDisposeScope(), null];
    }

    private static unsafe float* Start(Tensor values) => (float*)TensorValues.Start(values);

    /// <summary>The row of each pair; -1 for none.</summary>
    private static int[] Places(Tensor order, long pairs)
    {
        int[] places = new int[pairs];
        Array.Fill(places, -1);
        using var dense = order.contiguous();
        var sorted = TensorValues.Of<long>(dense);
        for (int row = 0; row < sorted.Length; row++)
        {
            if (sorted[row] < 0 || sorted[row] >= pairs) throw new ArgumentException($"The order has pair {sorted[row]}; the weights have pairs 0..{pairs - 1}.");
            if (places[sorted[row]] >= 0) throw new ArgumentException($"The order has pair {sorted[row]} twice.");
            places[sorted[row]] = row;
        }

        return places;
    }
}
