namespace MoeSharp;

/// <summary>Which of the selected (token, expert) pairs are computed: all of them (the default), or those that fit a capacity or a receive buffer.</summary>
public sealed record DispatchOptions
{
    /// <summary>The most tokens that an expert takes; null (the default) for no limit.</summary>
    public CapacityOptions? Capacity { get; init; }

    /// <summary>The most rows that the experts of a shard receive together; null (the default) for no limit. Not with <see cref="Capacity"/>.</summary>
    public RaggedBufferOptions? RaggedBuffer { get; init; }

    internal void CollectFaults(OptionFaults faults, RouterOptions router)
    {
        faults.When(Capacity is not null && RaggedBuffer is not null, "Dispatch has both a Capacity and a RaggedBuffer; set one of them to null.");
        faults.When(router.Select is Selection.ExpertChoice && Capacity is null, "ExpertChoice takes its number of tokens per expert from Dispatch.Capacity, which is null; set it.");
        Capacity?.CollectFaults(faults);
        RaggedBuffer?.CollectFaults(faults, router.ExpertCount);
    }
}

/// <summary>
/// The most tokens C that an expert takes per scope; what does not fit is dropped: such a token passes with zero output of that expert, and
/// its other weights are not renormalised (GShard, arXiv:2006.16668; Switch Transformer, arXiv:2101.03961).
/// </summary>
public sealed record CapacityOptions
{
    /// <summary>The factor over an even load: C = ceil(T · K / E · factor) over the T tokens of the scope; above 0. Null when <see cref="Slots"/> is set.</summary>
    public double? Factor { get; init; }

    /// <summary>C itself, 0 or more; null (the default) when <see cref="Factor"/> is set.</summary>
    public int? Slots { get; init; }

    /// <summary>The least C that <see cref="Factor"/> may give; 0 or more, default 0.</summary>
    public int MinimumSlots { get; init; }

    /// <summary>How <see cref="Factor"/> becomes a whole number.</summary>
    public CapacityRounding Rounding { get; init; }

    /// <summary>The tokens that share one capacity: a sequence (the default) or the whole batch.</summary>
    public CapacityScope Scope { get; init; }

    /// <summary>Each sequence is cut into this many equal parts with a capacity each; at least 1, the default. Only with <see cref="CapacityScope.Sequence"/>.</summary>
    public int Subsequences { get; init; } = 1;

    /// <summary>What decides who is dropped.</summary>
    public DropRule Drop { get; init; }

    /// <summary>The order in which pairs take slots; under <see cref="DropRule.Probability"/> it only breaks ties.</summary>
    public CapacityOrder Order { get; init; }

    /// <summary>Whether every expert computes exactly C rows per scope, free ones filled with zeros: products of one shape. Results do not change. Default false.</summary>
    public bool Pad { get; init; }

    /// <summary>The slots C of each expert for a scope of <paramref name="tokens"/> tokens.</summary>
    /// <param name="tokens">The number T of tokens in the scope, padding included; 0 or more.</param>
    /// <param name="topK">The number K of experts per token.</param>
    /// <param name="expertCount">The number E of experts.</param>
    public int SlotsFor(int tokens, int topK, int expertCount)
    {
        if (Slots is { } slots) return slots;

        double factor = Factor.GetValueOrDefault(), pairs = (double)tokens * topK;      // Validate saw that one of the two is set
        double exact = Rounding == CapacityRounding.CeilingOfMean
            ? Math.Floor(Math.Max(Math.Ceiling(pairs / expertCount) * factor, factor))
            : Math.Ceiling(pairs / expertCount * factor);
        return Math.Max((int)Math.Min(exact, int.MaxValue), MinimumSlots);
    }

    internal void CollectFaults(OptionFaults faults)
    {
        faults.When(Factor is null == Slots is null, Factor is null
            ? "Dispatch.Capacity has neither Factor nor Slots; set one of them."
            : "Dispatch.Capacity has both Factor and Slots; set one of them to null.");
        faults.When(Factor is { } factor && !(factor > 0 && double.IsFinite(factor)), $"Dispatch.Capacity.Factor is {Factor}; set it above 0.");
        faults.When(Slots is < 0, $"Dispatch.Capacity.Slots is {Slots}; set it to 0 or more.");
        faults.When(MinimumSlots < 0, $"Dispatch.Capacity.MinimumSlots is {MinimumSlots}; set it to 0 or more.");
        faults.When(Subsequences < 1, $"Dispatch.Capacity.Subsequences is {Subsequences}; set it to 1 or more.");
        faults.When(Subsequences > 1 && Scope != CapacityScope.Sequence, $"Dispatch.Capacity.Subsequences is {Subsequences}, but its Scope is {Scope}; only a sequence is cut into parts.");
        faults.WhenUndefined(Rounding, "Dispatch.Capacity.Rounding");
        faults.WhenUndefined(Scope, "Dispatch.Capacity.Scope");
        faults.WhenUndefined(Drop, "Dispatch.Capacity.Drop");
        faults.WhenUndefined(Order, "Dispatch.Capacity.Order");
    }
}

/// <summary>The tokens that share one capacity.</summary>
public enum CapacityScope
{
    /// <summary>Those of one sequence.</summary>
    Sequence,

    /// <summary>Those of the whole batch.</summary>
    Batch,
}

/// <summary>What decides which pairs an overfull expert drops.</summary>
public enum DropRule
{
    /// <summary>Earlier pairs win, in the <see cref="CapacityOrder"/>.</summary>
    Position,

    /// <summary>Pairs of higher weight win.</summary>
    Probability,
}

/// <summary>The order in which (token, choice) pairs take the slots of experts. B counts sequences, S tokens of one.</summary>
public enum CapacityOrder
{
    /// <summary>By B, then S, then choice: a token's second choice comes before the next token's first (MaxText).</summary>
    TokenFirst,

    /// <summary>All first choices before all second ones, then by token (GShard, Switch, flaxformer).</summary>
    ChoiceFirst,

    /// <summary>By S, then B, then choice: the order of Megatron-Core's [S, B, E] tensors.</summary>
    SequenceFirst,

    /// <summary>As <see cref="ChoiceFirst"/>, with the tokens of a scope by descending weight of their first choice (batch-prioritised routing, Riquelme et al. 2021, arXiv:2106.05974).</summary>
    PriorityFirst,
}

/// <summary>How a capacity factor becomes a number of slots.</summary>
public enum CapacityRounding
{
    /// <summary>ceil(T · K / E · factor).</summary>
    Ceiling,

    /// <summary>int(max(ceil(T · K / E) · factor, factor)), MaxText's form; it can be 0.</summary>
    CeilingOfMean,
}

/// <summary>
/// The bounded receive buffers of expert parallelism as a rule of dropping, so that one process gives the numbers of several: experts and
/// sequences lie on equal shards; a shard receives at most int(B / shards · S · K · factor) rows, sender by sender, then by expert, then by token.
/// </summary>
/// <param name="Shards">The number of shards; divides the experts and the sequences of every call.</param>
/// <param name="Factor">The size of a buffer over an even load; above 0.</param>
public sealed record RaggedBufferOptions(int Shards, double Factor)
{
    /// <summary>The rows that one shard can receive from <paramref name="sequences"/> sequences of <paramref name="length"/> tokens.</summary>
    public int SlotsFor(int sequences, int length, int topK) => (int)Math.Min((double)(sequences / Shards) * length * topK * Factor, int.MaxValue);

    internal void CollectFaults(OptionFaults faults, int expertCount)
    {
        faults.When(Shards < 1 || expertCount % Shards != 0, $"Dispatch.RaggedBuffer.Shards is {Shards}; it must divide the {expertCount} experts evenly.");
        faults.When(!(Factor > 0 && double.IsFinite(Factor)), $"Dispatch.RaggedBuffer.Factor is {Factor}; set it above 0.");
    }
}
