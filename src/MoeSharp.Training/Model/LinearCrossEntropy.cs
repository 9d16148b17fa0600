using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace MoeSharp.Training;

/// <summary>
/// The mean cross-entropy of logits = hidden · weightᵀ against targets, computed some rows at a time: the logits of a whole batch, far the
/// largest tensor of a language model, never exist. The gradients are made in the same pass, while a piece is still in cache.
/// </summary>
internal sealed class LinearCrossEntropy : GuardedFunction<LinearCrossEntropy>
{
    private const int PieceRows = 512;

    /// <summary>The loss, a float32 scalar with gradient; targets equal to <paramref name="ignored"/> do not count, and without others it is 0.</summary>
    /// <param name="hidden">Rows [N, D]; their type is that of the products.</param>
    /// <param name="weight">The head [V, D], float32.</param>
    /// <param name="targets">Ids [N], int64.</param>
    /// <param name="ignored">The id that does not count.</param>
    public static Tensor Loss(Tensor hidden, Tensor weight, Tensor targets, long ignored) => apply(hidden, weight, targets, ignored, is_grad_enabled())[0];

    protected override List<Tensor> Compute(AutogradContext ctx, object?[] arguments)
    {
        var (hidden, weight, targets) = ((Tensor)arguments[0]!, (Tensor)arguments[1]!, (Tensor)arguments[2]!);      // as Loss gives them
        var (ignored, hasGradient) = ((long)arguments[3]!, (bool)arguments[4]!);
        using var scope = NewDisposeScope();

        var head = weight.to(hidden.dtype);
        var counted = targets.ne(ignored);
        long count = Math.Max(counted.sum().item<long>(), 1);
        var gradients = hasGradient ? new Gradients(empty_like(hidden), zeros_like(weight)) : null;
        double loss = 0;
        for (long first = 0; first < hidden.size(0); first += PieceRows)
        {
            using var piece = NewDisposeScope();
            long rows = Math.Min(PieceRows, hidden.size(0) - first);
            loss += Piece(hidden, head, targets, counted, first, rows, count, gradients);
        }

        if (gradients is not null) ctx.save_for_backward([gradients.Hidden.MoveToOuterDisposeScope(), gradients.Weight.MoveToOuterDisposeScope()]);
        return [tensor((float)(loss / count)).MoveToOuterDisposeScope()];
    }

    protected override List<Tensor?> Differentiate(AutogradContext ctx, List<Tensor?> gradients)
    {
        if (gradients[0] is not { IsInvalid: false } given) return [null, null, null, null, null];
        if (is_grad_enabled()) throw new NotSupportedException("LinearCrossEntropy has no second derivative: its gradient is computed outside autograd.");

        var saved = ctx.get_saved_variables();
        return [saved[0] * given.to(saved[0].dtype), saved[1] * given, null, null, null];
    }

    /// <summary>The sum of the losses of some rows; their gradients go where they belong.</summary>
    private static double Piece(Tensor hidden, Tensor head, Tensor targets, Tensor counted, long first, long rows, long count, Gradients? gradients)
    {
        var (inputs, counts) = (hidden.narrow(0, first, rows), counted.narrow(0, first, rows).unsqueeze(1));
        var ids = where(counts, targets.narrow(0, first, rows).unsqueeze(1), 0);                          // [rows, 1]
        var logarithms = inputs.matmul(head.t()).to(ScalarType.Float32).log_softmax(-1);                  // [rows, V]
        double loss = -(logarithms.gather(1, ids) * counts).sum(ScalarType.Float64).item<double>();
        if (gradients is null) return loss;

        // d loss / d logits = softmax - onehot(target), for the rows that count
        var slopes = logarithms.exp_().scatter_add_(1, ids, full_like(ids, -1, ScalarType.Float32)).mul_(counts.to(ScalarType.Float32) / count).to(hidden.dtype);
        gradients.Hidden.narrow(0, first, rows).copy_(slopes.matmul(head));
        gradients.Weight.add_(slopes.t().matmul(inputs));
        return loss;
    }

    private sealed record Gradients(Tensor Hidden, Tensor Weight);
}
