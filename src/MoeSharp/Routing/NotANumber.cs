using System.Diagnostics.CodeAnalysis;
using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Refuses to route by values that have no order.</summary>
internal static class NotANumber
{
    /// <summary>Throws when a choice or a weight of a selected expert is NaN. NaN sorts above every number, so the first slot has it.</summary>
    /// <exception cref="MoeException">Names the first such token.</exception>
    public static void ThrowIfRouted(Tensor logits, Tensor choice, Tensor experts, Tensor weights)
    {
        if (experts.numel() == 0) return;

        using var _ = no_grad();
        var first = choice.gather(-1, experts.narrow(-1, 0, 1));        // [T, 1]
        var isFaulty = first.isnan() | weights.isnan().any(-1, keepdim: true);
        if (isFaulty.any().item<bool>()) Throw(logits, isFaulty);
    }

    [DoesNotReturn]
    private static void Throw(Tensor logits, Tensor isFaulty)
    {
        long token = isFaulty.flatten().nonzero()[0, 0].item<long>();
        var row = logits[token];
        throw new MoeException(row.isfinite().all().item<bool>()
            ? $"The routing weights of token {token} are not numbers, though its router logits are finite: its selected scores sum to zero, "
              + "or the correction bias or the per-expert scale holds NaN. Set RenormalizeEpsilon, or check those two."
            : $"Router logits of token {token} are not finite ([{string.Join(", ", row.to(float32).cpu().data<float>().ToArray().Take(8))}, ..]): "
              + "the hidden state or the gate's weight holds NaN or infinity. Look for the first layer whose input is not finite.");
    }
}
