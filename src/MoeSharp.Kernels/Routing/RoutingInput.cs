namespace MoeSharp;

/// <summary>What a <see cref="RoutingKernel"/> routes: T = <see cref="Sequences"/> · <see cref="SequenceLength"/> tokens, sequence by sequence.</summary>
public readonly ref struct RoutingInput
{
    /// <summary>The logits [T, E], with the logit bias if there is one.</summary>
    public required ReadOnlySpan<float> Logits { get; init; }

    /// <summary>The number B of sequences.</summary>
    public required int Sequences { get; init; }

    /// <summary>The number S of tokens of each sequence.</summary>
    public required int SequenceLength { get; init; }

    /// <summary>Whether training's forms hold: SparseMixer's samples, Sinkhorn's normalisation, the quantiles of a balance.</summary>
    public bool IsTraining { get; init; }

    /// <summary>Decides, with the router's seed, what is drawn; another one for every call of training.</summary>
    public long Step { get; init; }

    /// <summary>The correction bias [E]; needed with <see cref="RouterOptions.HasCorrectionBias"/>.</summary>
    public ReadOnlySpan<float> CorrectionBias { get; init; }

    /// <summary>The per-expert scale [E]; needed with <see cref="RouterOptions.HasPerExpertScale"/>.</summary>
    public ReadOnlySpan<float> PerExpertScale { get; init; }

    /// <summary>The quantile bias [E]; needed with <see cref="Selection.QuantileBalance"/>.</summary>
    public ReadOnlySpan<float> QuantileBias { get; init; }

    /// <summary>Which tokens count [T], false for padding; empty when all do.</summary>
    public ReadOnlySpan<bool> Mask { get; init; }

    /// <summary>The id of every token [T]; needed with <see cref="Selection.TokenTable"/>, to route.</summary>
    public ReadOnlySpan<long> TokenIds { get; init; }

    /// <summary>The experts of every token id [V, K]; needed with <see cref="Selection.TokenTable"/>, to route.</summary>
    public ReadOnlySpan<long> Table { get; init; }

    /// <summary>
    /// Experts [T, K'] that are taken instead of a selection, -1 for none; needed with <see cref="Selection.Forced"/>. Weights are
    /// computed from the logits as ever.
    /// </summary>
    public ReadOnlySpan<long> Experts { get; init; }

    /// <summary>SparseMixer's draws, where they are not to be drawn here; null for drawing them.</summary>
    public SparseMixerDraws? Draws { get; init; }
}

/// <summary>The draws of SparseMixer's training form, for a reference's numbers.</summary>
/// <param name="Exponentials">For each of the two rounds, draws [T, E] of the exponential distribution.</param>
/// <param name="Uniforms">For each of the two rounds, even draws [T] of 0 to 1.</param>
public sealed record SparseMixerDraws(float[][] Exponentials, float[][] Uniforms);
