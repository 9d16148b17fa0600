namespace MoeSharp;

/// <summary>One call of the routing kernel as managed memory: it outlives the tensors that it was made from, until its backward.</summary>
internal sealed record RouteRequest(RoutingKernel Kernel, int Sequences, int SequenceLength)
{
    public bool IsTraining { get; init; }

    public long Step { get; init; }

    public bool[]? Mask { get; init; }

    public long[]? TokenIds { get; init; }

    public long[]? Table { get; init; }

    public long[]? Experts { get; init; }

    public float[]? QuantileBias { get; init; }

    public SparseMixerDraws? Draws { get; init; }

    /// <summary>What the forward pass made.</summary>
    public RoutingPlan? Plan { get; set; }

    /// <summary>What it summed up.</summary>
    public RoutingSums? Sums { get; set; }

    /// <summary>Whether the per-expert scale and the correction bias want gradients.</summary>
    public (bool Scale, bool Bias) Needs { get; set; }

    public RoutingInput Input(ReadOnlySpan<float> logits, ReadOnlySpan<float> scale, ReadOnlySpan<float> bias) => new()
    {
        Logits = logits,
        Sequences = Sequences,
        SequenceLength = SequenceLength,
        IsTraining = IsTraining,
        Step = Step,
        CorrectionBias = bias,
        PerExpertScale = scale,
        QuantileBias = QuantileBias,
        Mask = Mask,
        TokenIds = TokenIds,
        Table = Table,
        Experts = Experts,
        Draws = Draws,
    };
}
