using System.Diagnostics.CodeAnalysis;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Refuses to route by values that have no order.</summary>
internal static class NotANumber
{
    /// <summary>Throws when the choice value or the weight of a selected expert is NaN; a NaN of a row is always selected, as it sorts first.</summary>
    /// <exception cref="MoeException">Names the first such token.</exception>
    public static void ThrowIfRouted(Tensor logits, Tensor choice, Tensor experts, Tensor weights)
    {
        using var _ = no_grad();
        var selected = choice.gather(-1, experts);                      // [T, K]
        if (float.IsFinite((selected.sum() + weights.sum()).item<float>())) return;

        var isFaulty = (selected.isnan() | weights.isnan()).any(-1);    // [T]; infinities alone are ordered
        if (isFaulty.any().item<bool>()) Throw(logits, isFaulty.nonzero()[0, 0].item<long>());
    }

    [DoesNotReturn]
    private static void Throw(Tensor logits, long token)
    {
        float[] row = logits[token].cpu().data<float>().ToArray();
        int faulty = Array.FindIndex(row, value => !float.IsFinite(value));
        throw new MoeException(faulty >= 0
            ? $"The router logit of token {token} for expert {faulty} is {row[faulty]}: the token's hidden state or the gate's weight is not finite. "
              + "Look for the first layer whose input is not finite."
            : $"The routing weights of token {token} are not numbers though its router logits are finite: its selected scores sum to zero, "
              + "or the correction bias or the per-expert scale holds NaN. Set RenormalizeEpsilon, or check those two.");
    }
}
