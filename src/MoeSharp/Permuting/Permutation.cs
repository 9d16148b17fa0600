using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>
/// The grouping of rows by expert, alone: for experts of one's own. Sort, permute, run every expert on its rows, unpermute.
/// </summary>
public static class Permutation
{
    /// <summary>The (token, slot) pairs sorted by expert, and within an expert by token.</summary>
    /// <param name="experts">The experts of each token, int64 [T, K]; -1 for a free slot.</param>
    /// <param name="expertCount">The number E of experts.</param>
    /// <returns>The order, int64 [R] over pairs token · K + slot without free slots; and the rows of each expert, E values that sum to R.</returns>
    /// <exception cref="ArgumentException">The tensor has another shape or type, or an id lies outside -1..E - 1.</exception>
    public static (Tensor Order, IReadOnlyList<long> Counts) SortByExpert(Tensor experts, int expertCount)
    {
        ArgumentNullException.ThrowIfNull(experts);
        ArgumentOutOfRangeException.ThrowIfLessThan(expertCount, 1);
        if (experts.dim() != 2 || experts.dtype != ScalarType.Int64)
            throw new ArgumentException($"The experts are {experts.dtype} {Text(experts.shape)}; expected Int64 [tokens, K].", nameof(experts));

        using var scope = NewDisposeScope();
        using var dense = experts.cpu().contiguous();
        long[] ids = TensorValues.Of<long>(dense).ToArray();
        long wrong = ids.FirstOrDefault(id => id < -1 || id >= expertCount, -1);
        if (wrong != -1) throw new ArgumentException($"There is an expert {wrong}; expected 0..{expertCount - 1}, or -1 for a free slot.", nameof(experts));

        var plan = new RoutingPlan(Array.ConvertAll(ids, id => (int)id), (int)experts.size(0), (int)experts.size(1), expertCount);
        ExpertOrder.Fill(plan);
        var sorted = new RoutingTensors(zeros(experts.shape, device: experts.device), plan);
        return (sorted.Order.MoveToOuterDisposeScope(), sorted.Counts);
    }

    /// <summary>The rows of all experts, one after another: row r is the token of pair order[r]. The gradient of a token is the sum of its rows'.</summary>
    /// <param name="tokens">The tokens [T, D], of any type.</param>
    /// <param name="order">The sorted pairs [R], from <see cref="SortByExpert"/>.</param>
    /// <param name="width">The number K of slots per token.</param>
    /// <returns>The rows [R, D].</returns>
    /// <exception cref="ArgumentException">A tensor has another shape or type.</exception>
    public static Tensor Permute(Tensor tokens, Tensor order, int width)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        if (tokens.dim() != 2) throw new ArgumentException($"The tokens are {Text(tokens.shape)}; expected [tokens, D].", nameof(tokens));
        CheckOrder(order);

        using var scope = NewDisposeScope();
        return tokens.index_select(0, order.floor_divide(width)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The weighted sum of each token's rows, added in float32 in the order of the rows; a token without rows is zero. With gradients of
    /// rows and weights. The inverse of <see cref="Permute"/> when the weights of every token sum to one.
    /// </summary>
    /// <param name="rows">The experts' outputs [R, D], of any floating type.</param>
    /// <param name="order">The sorted pairs [R] that the rows belong to.</param>
    /// <param name="weights">The weight of each pair, float32 [T, K].</param>
    /// <returns>[T, D] in the type of the rows.</returns>
    /// <exception cref="ArgumentException">A tensor has another shape or type.</exception>
    public static Tensor Unpermute(Tensor rows, Tensor order, Tensor weights)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(weights);
        CheckOrder(order);
        if (rows.dim() != 2 || rows.size(0) != order.size(0)) throw new ArgumentException($"The rows are {Text(rows.shape)}; expected [{order.size(0)}, D], one for each pair of the order.", nameof(rows));
        if (weights.dim() != 2 || weights.dtype != ScalarType.Float32) throw new ArgumentException($"The weights are {weights.dtype} {Text(weights.shape)}; expected Float32 [tokens, K].", nameof(weights));

        using var scope = NewDisposeScope();
        var values = rows.to(float32);
        var sums = rows.device_type == TorchSharp.DeviceType.CPU ? CombineFunction.apply(values, weights, order)[0] : Added(values, order, weights);
        return sums.to(rows.dtype).MoveToOuterDisposeScope();
    }

    // other devices add in an order of their own
    private static Tensor Added(Tensor rows, Tensor order, Tensor weights)
    {
        var weighted = rows * weights.flatten().index_select(0, order).unsqueeze(-1);
        return zeros(weights.size(0), rows.size(1), float32, rows.device).index_add(0, order.floor_divide(Math.Max(weights.size(1), 1)), weighted, 1);
    }

    private static void CheckOrder(Tensor order)
    {
        ArgumentNullException.ThrowIfNull(order);
        if (order.dim() != 1 || order.dtype != ScalarType.Int64) throw new ArgumentException($"The order is {order.dtype} {Text(order.shape)}; expected Int64 [rows], from SortByExpert.", nameof(order));
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
