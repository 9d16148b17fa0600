namespace MoeSharp;

/// <summary>
/// The decisions of one layer in one call: which experts every token goes to, and with which weights. The tokens are those of the
/// sequences one after another; a token has <see cref="Width"/> slots. The memory is that of whoever made the entry, and is not copied.
/// </summary>
public sealed class RoutingTraceEntry
{
    /// <summary>The expert of a slot that is not used.</summary>
    public const int None = -1;

    /// <summary>The step of the training, or the position in the generation; 0 or more. A step may have several entries of a layer.</summary>
    public required long Step { get; init; }

    /// <summary>The layer, one of those in the <see cref="RoutingTraceHeader"/>.</summary>
    public required int Layer { get; init; }

    /// <summary>The number of sequences, 0 or more.</summary>
    public required int Sequences { get; init; }

    /// <summary>The tokens of each sequence, 0 or more.</summary>
    public required int SequenceLength { get; init; }

    /// <summary>The slots of each token, 1 or more; usually the router's TopK.</summary>
    public required int Width { get; init; }

    /// <summary>The experts, [tokens · width], in the order of the router's choice; <see cref="None"/> where a slot is not used.</summary>
    public required ReadOnlyMemory<int> Experts { get; init; }

    /// <summary>The weights, [tokens · width]. A file holds them in half precision: what a reader returns is rounded.</summary>
    public required ReadOnlyMemory<float> Weights { get; init; }

    /// <summary>Which choices were dropped because their expert was full, [tokens · width]; empty when none was.</summary>
    public ReadOnlyMemory<bool> Dropped { get; init; }

    /// <summary>The number of tokens, <see cref="Sequences"/> · <see cref="SequenceLength"/>.</summary>
    public int Tokens => checked(Sequences * SequenceLength);

    /// <summary>The experts of a token, [width].</summary>
    /// <param name="token">0 to <see cref="Tokens"/> - 1.</param>
    public ReadOnlySpan<int> ExpertsOf(int token) => Experts.Span.Slice(token * Width, Width);

    /// <summary>The weights of a token, [width].</summary>
    /// <param name="token">0 to <see cref="Tokens"/> - 1.</param>
    public ReadOnlySpan<float> WeightsOf(int token) => Weights.Span.Slice(token * Width, Width);

    /// <summary>Whether the choice in a slot was dropped.</summary>
    /// <param name="token">0 to <see cref="Tokens"/> - 1.</param>
    /// <param name="slot">0 to <see cref="Width"/> - 1.</param>
    public bool IsDropped(int token, int slot) => !Dropped.IsEmpty && Dropped.Span[token * Width + slot];

    /// <summary>The entry of a routing plan, whose experts and weights it shares. Free slots, as those of padding, have <see cref="None"/>.</summary>
    /// <param name="step">The step or position, 0 or more.</param>
    /// <param name="layer">The layer, one of those in the header.</param>
    /// <param name="plan">What the router decided.</param>
    /// <param name="sequences">The sequences of the call.</param>
    /// <param name="sequenceLength">The tokens of each.</param>
    /// <exception cref="ArgumentException">The plan has another number of tokens.</exception>
    public static RoutingTraceEntry Of(long step, int layer, RoutingPlan plan, int sequences, int sequenceLength)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if ((long)sequences * sequenceLength != plan.TokenCount)
            throw new ArgumentException($"The plan has {plan.TokenCount} tokens; expected {sequences} sequences of {sequenceLength}. Give the shape of the call that was routed.", nameof(plan));

        bool hasSlots = plan.Width > 0; // where experts choose, no token may have one
        return new()
        {
            Step = step,
            Layer = layer,
            Sequences = sequences,
            SequenceLength = sequenceLength,
            Width = Math.Max(plan.Width, 1),
            Experts = hasSlots ? plan.Experts : Enumerable.Repeat(None, plan.TokenCount).ToArray(),
            Weights = hasSlots ? plan.Weights : new float[plan.TokenCount],
            Dropped = DroppedOf(plan),
        };
    }

    /// <summary>What keeps the entry out of a trace; null when nothing does.</summary>
    internal string? FindFault(int expertCount)
    {
        if (Step < 0) return $"Step is {Step}; expected 0 or more.";
        if (Sequences < 0 || SequenceLength < 0 || Width < 1) return $"The shape is {Sequences} × {SequenceLength} × {Width}; expected 0 or more sequences and tokens and at least one slot.";

        var slots = (Int128)Sequences * SequenceLength * Width;
        if (slots > RoutingTraceFormat.MostSlots) return $"The shape {Sequences} × {SequenceLength} × {Width} has {slots} slots; an entry holds {RoutingTraceFormat.MostSlots} at most.";
        if (Experts.Length != slots || Weights.Length != slots || (Dropped.Length != slots && !Dropped.IsEmpty))
        {
            return $"There are {Experts.Length} experts, {Weights.Length} weights and {Dropped.Length} marks of dropped choices; expected {slots} of each for the shape {Sequences} × {SequenceLength} × {Width}.";
        }

        int index = Experts.Span.IndexOfAnyExceptInRange(None, expertCount - 1);
        return index < 0 ? null : $"Token {index / Width} has expert {Experts.Span[index]}; expected -1..{expertCount - 1}, because layer {Layer} has {expertCount} experts.";
    }

    private static bool[] DroppedOf(RoutingPlan plan)
    {
        if (plan.Slots is null) return [];

        bool[] dropped = new bool[plan.Experts.Length];
        for (int pair = 0; pair < dropped.Length; pair++) dropped[pair] = plan.Experts[pair] >= 0 && !plan.IsKept(pair);
        return dropped.Contains(true) ? dropped : [];
    }
}
