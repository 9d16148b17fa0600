using static TorchSharp.torch;

namespace MoeSharp;

/// <summary>One call of the routing kernel as managed memory: it outlives the tensors that it was made from, until its backward.</summary>
internal sealed record RouteRequest(RoutingKernel Kernel, int Sequences, int SequenceLength)
{
    public bool IsTraining { get; init; }

    public long Step { get; init; }

    public bool[]? Mask { get; init; }

    public long[]? TokenIds { get; init; }

    /// <summary>The token table [V, K], which is large and lies where the layer has it: read to route, not on the way back.</summary>
    public Tensor? Table { get; init; }

    public long[]? Experts { get; init; }

    public float[]? CorrectionBias { get; init; }

    public float[]? PerExpertScale { get; init; }

    public float[]? QuantileBias { get; init; }

    public SparseMixerDraws? Draws { get; init; }

    /// <summary>What the forward pass made.</summary>
    public RoutingPlan? Plan { get; set; }

    /// <summary>What it summed up.</summary>
    public RoutingSums? Sums { get; set; }

    /// <summary>Whether the per-expert scale and the correction bias want gradients.</summary>
    public (bool Scale, bool Bias) Needs { get; set; }

    /// <summary>Makes the plan of float32 logits on the host.</summary>
    /// <param name="logits">[T, E].</param>
    /// <param name="scores">Receives what <see cref="RoutingKernel.KeptScores"/> says; empty to keep none.</param>
    public RoutingPlan Route(ReadOnlySpan<float> logits, Span<float> scores = default)
    {
        using var onHost = Table?.cpu();
        using var table = onHost?.contiguous();
        return Kernel.Route(Input(logits, TensorValues.Of<long>(table)), scores);
    }

    public RoutingInput Input(ReadOnlySpan<float> logits, ReadOnlySpan<long> table = default) => new()
    {
        Logits = logits,
        Sequences = Sequences,
        SequenceLength = SequenceLength,
        IsTraining = IsTraining,
        Step = Step,
        CorrectionBias = CorrectionBias,
        PerExpertScale = PerExpertScale,
        QuantileBias = QuantileBias,
        Mask = Mask,
        TokenIds = TokenIds,
        Table = table,
        Experts = Experts,
        Draws = Draws,
    };
}
