using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>What one call of a layer gets besides the hidden states; everything may be left out unless the options ask for it.</summary>
public sealed record RoutingCall
{
    internal static readonly RoutingCall Plain = new();

    /// <summary>Which tokens count: bool [..], false for padding; null when all do. See <see cref="MoeOptions.MaskScope"/>.</summary>
    public Tensor? TokenMask { get; init; }

    /// <summary>What the gate reads, in the shape of the hidden states, where that is not what the experts read (Gemma 4).</summary>
    public Tensor? RouterInput { get; init; }

    /// <summary>The id of every token, int64 [..]; needed with <see cref="Selection.TokenTable"/>.</summary>
    public Tensor? TokenIds { get; init; }

    /// <summary>
    /// Experts int64 [.., K'] that are taken instead of a selection, -1 for none: a plan made elsewhere, or a replayed trace. Weights are
    /// computed from the logits, with gradient. <see cref="RoutingReplay"/> takes them from a trace. Needed with <see cref="Selection.Forced"/>.
    /// </summary>
    public Tensor? Experts { get; init; }

    /// <summary>Decides what is drawn in training, with the router's seed; null takes the number of the layer's training calls so far.</summary>
    public long? Step { get; init; }

    /// <summary>
    /// The load of the whole optimiser step, for losses of <see cref="BalanceScope.Global"/>: this call's loss is then its share of the
    /// global one, and the shares of all micro-batches and ranks add up to it. Null when this call is the whole step.
    /// </summary>
    public RoutingLoad? StepLoad { get; init; }

    /// <summary>The trace that <see cref="Experts"/> come from; null for none.</summary>
    internal ReplayedCall? Replayed
    {
        get => ReferenceEquals(field?.Experts, Experts) ? field : null;     // not when they were replaced since
        init;
    }

    /// <summary>SparseMixer's draws, for a reference's numbers.</summary>
    internal SparseMixerDraws? Draws { get; init; }
}
