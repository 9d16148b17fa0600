using static TorchSharp.torch;

namespace MoeSharp.Training;

/// <summary>Writes the routing of a model's forward passes into a trace, which stays the caller's.</summary>
internal sealed class RoutingRecorder(DecoderModel model, RoutingTraceWriter writer)
{
    private readonly int[] _layers = [.. model.MoeLayerIndices];

    /// <summary>Adds an entry for each MoE layer.</summary>
    /// <param name="step">The step or position.</param>
    /// <param name="tokens">The ids [B, S] that were passed through the model.</param>
    /// <param name="plans">What each MoE layer decided, first to last.</param>
    /// <exception cref="IOException">The disk is full.</exception>
    public void Record(long step, Tensor tokens, IEnumerable<RoutingPlan> plans)
    {
        var (sequences, length) = (checked((int)tokens.size(0)), checked((int)tokens.size(1)));
        foreach (var (layer, plan) in _layers.Zip(plans)) writer.Append(RoutingTraceEntry.Of(step, layer, plan, sequences, length));
    }
}
