using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>Where the experts of a call come from, to refuse a layer that they were not recorded from.</summary>
internal sealed record ReplayedCall(Tensor Experts, string Trace, RoutingTraceLayer Layer, long Step, int Sequences, int SequenceLength)
{
    /// <summary>Throws unless the layer and its hidden states [.., S, D] are of the recorded numbers.</summary>
    /// <exception cref="MoeException">Names what was recorded and what is there.</exception>
    public void CheckFits(Tensor hidden, RouterOptions router)
    {
        if (Layer.ExpertCount != router.ExpertCount || Layer.TopK != router.TopK)
        {
            throw new MoeException(
                $"Layer {Layer.Layer} of {Trace} has {Layer.ExpertCount} experts and a TopK of {Layer.TopK}; this layer has {router.ExpertCount} experts and a TopK of {router.TopK}. " +
                "Replay a trace through the model that it was recorded from.");
        }

        var leading = hidden.shape.AsSpan()[..^1];
        long length = leading.Length > 0 ? leading[^1] : 1, sequences = 1;
        for (int i = 0; i < leading.Length - 1; i++) sequences *= leading[i];
        if (sequences != Sequences || length != SequenceLength)
        {
            throw new MoeException(
                $"Step {Step} of layer {Layer.Layer} in {Trace} has {Sequences} sequences of {SequenceLength} tokens; the hidden states have {sequences} of {length}. " +
                "Give the tokens that were recorded.");
        }
    }

    /// <summary>Throws unless the replayed calls of a model are of its MoE layers.</summary>
    /// <param name="calls">What the layers get, first to last.</param>
    /// <param name="layers">The indices of the model's MoE layers.</param>
    /// <exception cref="MoeException">Names the layers of both.</exception>
    public static void CheckLayers(IReadOnlyList<RoutingCall> calls, IReadOnlyList<int> layers)
    {
        if (calls.Select(call => call.Replayed).FirstOrDefault(replayed => replayed is not null) is not { } first) return;

        var fits = calls.Count == layers.Count && calls.Zip(layers, (call, layer) => call.Replayed is null || call.Replayed.Layer.Layer == layer).All(isSame => isSame);
        if (fits) return;

        var recorded = calls.Select(call => call.Replayed is { } replayed ? $"{replayed.Layer.Layer}" : "-");
        throw new MoeException(
            $"The calls from {first.Trace} are of the layers {string.Join(", ", recorded)}; the MoE layers of the model are {string.Join(", ", layers)}. " +
            "Replay a trace through the model that it was recorded from.");
    }
}
