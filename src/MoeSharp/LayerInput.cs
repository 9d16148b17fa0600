using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>What a layer accepts, checked once at its border.</summary>
internal static class LayerInput
{
    /// <summary>Throws unless the tensors fit a layer whose router matrix is <paramref name="weight"/> [E, D].</summary>
    /// <exception cref="ArgumentException">Says which tensor is wrong, how, and what fits.</exception>
    public static void Check(Tensor hidden, Tensor? tokenMask, Tensor? routerInput, Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(hidden);
        CheckHidden(hidden, weight, nameof(hidden));
        if (tokenMask is not null) CheckMask(tokenMask, hidden);
        if (routerInput is null) return;

        CheckHidden(routerInput, weight, nameof(routerInput));
        if (!routerInput.shape.AsSpan().SequenceEqual(hidden.shape))
        {
            throw new ArgumentException($"The router's input has shape {Text(routerInput.shape)}; expected {Text(hidden.shape)} like the hidden states.", nameof(routerInput));
        }
    }

    private static void CheckHidden(Tensor hidden, Tensor weight, string name)
    {
        long width = weight.size(1);
        if (hidden.dim() == 0 || hidden.size(-1) != width)
        {
            throw new ArgumentException($"The hidden states have shape {Text(hidden.shape)}; expected [.., {width}] because HiddenSize is {width}.", name);
        }

        if (!hidden.is_floating_point())
        {
            throw new ArgumentException($"The hidden states are of type {hidden.dtype}; expected a floating type. Embed token ids first, or cast.", name);
        }

        if (hidden.device_type != weight.device_type || hidden.device_index != weight.device_index)
        {
            throw new ArgumentException($"The hidden states are on {hidden.device}, the layer is on {weight.device}; move one of them.", name);
        }
    }

    private static void CheckMask(Tensor tokenMask, Tensor hidden)
    {
        if (tokenMask.dtype != ScalarType.Bool || !tokenMask.shape.AsSpan().SequenceEqual(hidden.shape.AsSpan()[..^1]))
        {
            throw new ArgumentException(
                $"The token mask is {tokenMask.dtype} {Text(tokenMask.shape)}; expected Bool {Text(hidden.shape[..^1])}, one value per token, false for padding.", nameof(tokenMask));
        }
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
