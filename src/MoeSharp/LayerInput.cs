using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>What a layer accepts, checked once at its border.</summary>
internal static class LayerInput
{
    /// <summary>Throws unless the tensors fit a layer whose router matrix is <paramref name="weight"/> [E, D].</summary>
    /// <exception cref="ArgumentException">Says which tensor is wrong, how, and what fits.</exception>
    /// <exception cref="MoeException">The call replays a trace of another layer or of other tokens.</exception>
    public static void Check(Tensor hidden, RoutingCall call, Tensor weight, RouterOptions router)
    {
        ArgumentNullException.ThrowIfNull(hidden);
        CheckHidden(hidden, weight, "hidden states", nameof(hidden));
        if (call.TokenMask is { } mask)
        {
            CheckPerToken(call, mask, hidden, ScalarType.Bool, "token mask", "one value per token, false for padding");
            if (!IsWith(mask, hidden)) throw new ArgumentException($"The token mask is on {mask.device}, the hidden states are on {hidden.device}; move one of them.", nameof(call));
        }

        if (call.StepLoad is { } load && load.Routed.Count != router.ExpertCount) throw new ArgumentException($"The load of the step is of {load.Routed.Count} experts; expected {router.ExpertCount}, those of this layer.", nameof(call));
        if (call.TokenIds is { } ids) CheckPerToken(call, ids, hidden, ScalarType.Int64, "token ids", "one id per token");
        if (call.Replayed is { } replayed) replayed.CheckFits(hidden, router);
        else if (call.Experts is { } experts) CheckExperts(call, experts, hidden);
        if (call.RouterInput is not { } routerInput) return;

        CheckHidden(routerInput, weight, "router's inputs", nameof(call));
        if (!routerInput.shape.AsSpan().SequenceEqual(hidden.shape))
        {
            throw new ArgumentException($"The router's inputs have shape {Text(routerInput.shape)}; expected {Text(hidden.shape)} like the hidden states.", nameof(call));
        }
    }

    private static void CheckHidden(Tensor hidden, Tensor weight, string what, string parameter)
    {
        long width = weight.size(1);
        if (hidden.dim() == 0 || hidden.size(-1) != width)
        {
            throw new ArgumentException($"The {what} have shape {Text(hidden.shape)}; expected [.., {width}] because HiddenSize is {width}.", parameter);
        }

        if (!hidden.is_floating_point())
        {
            throw new ArgumentException($"The {what} are of type {hidden.dtype}; expected a floating type. Embed token ids first, or cast.", parameter);
        }

        if (!IsWith(hidden, weight)) throw new ArgumentException($"The {what} are on {hidden.device}, the layer is on {weight.device}; move one of them.", parameter);
    }

    private static bool IsWith(Tensor one, Tensor other) => one.device_type == other.device_type && one.device_index == other.device_index;

    private static void CheckPerToken(RoutingCall call, Tensor values, Tensor hidden, ScalarType type, string name, string meaning)
    {
        if (values.dtype != type || !values.shape.AsSpan().SequenceEqual(hidden.shape.AsSpan()[..^1]))
        {
            throw new ArgumentException($"The {name} {(name.EndsWith('s') ? "are" : "is")} {values.dtype} {Text(values.shape)}; expected {type} {Text(hidden.shape[..^1])}, {meaning}.", nameof(call));
        }
    }

    private static void CheckExperts(RoutingCall call, Tensor experts, Tensor hidden)
    {
        if (experts.dtype != ScalarType.Int64 || experts.dim() != hidden.dim() || experts.size(-1) == 0 || !experts.shape.AsSpan()[..^1].SequenceEqual(hidden.shape.AsSpan()[..^1]))
        {
            throw new ArgumentException($"The given experts are {experts.dtype} {Text(experts.shape)}; expected Int64 {Text([.. hidden.shape[..^1], -1])}, a row of experts for each token.", nameof(call));
        }
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
