namespace MoeSharp;

/// <summary>What one call of a <see cref="MoeLayer"/> brings besides its tokens; everything may be left out unless the options ask for it.</summary>
public readonly ref struct MoeCall
{
    /// <summary>What the router reads [T, D], where that is not what the experts read (Gemma 4); empty for the tokens.</summary>
    public ReadOnlySpan<float> RouterInput { get; init; }

    /// <summary>The id of every token [T]; needed with <see cref="Selection.TokenTable"/>.</summary>
    public ReadOnlySpan<long> TokenIds { get; init; }

    /// <summary>Which tokens count [T], false for padding; empty when all do. See <see cref="MoeOptions.MaskScope"/>: a shared expert sees padding too.</summary>
    public ReadOnlySpan<bool> Mask { get; init; }

    /// <summary>
    /// Experts [T, K'] that are taken instead of a selection, -1 for none; empty to select. Weights are computed from the logits as ever.
    /// Needed with <see cref="Selection.Forced"/>.
    /// </summary>
    public ReadOnlySpan<long> Experts { get; init; }

    /// <summary>The number of sequences of equal length that the tokens are of, one after the other; null for one. Capacities and receive buffers count by it.</summary>
    public int? Sequences { get; init; }

    /// <summary>Decides, with the router's seed, what <see cref="Selection.Random"/> draws; default 0.</summary>
    public long Step { get; init; }
}
