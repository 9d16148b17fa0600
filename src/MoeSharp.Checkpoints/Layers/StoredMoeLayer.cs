using System.Diagnostics;

namespace MoeSharp.Checkpoints;

/// <summary>
/// A Mixture-of-Experts layer of a checkpoint: its options, and where each of its parameters is. Experts are decoded when they are asked for;
/// the small parameters were read. Immutable; the bytes belong to the checkpoint it is from.
/// </summary>
[DebuggerDisplay("layer {Index}: {Options.Router.ExpertCount} experts")]
public sealed class StoredMoeLayer
{
    private readonly Func<int, StoredMlp> _expert;

    internal StoredMoeLayer(int index, MoeOptions options, RouterParameters router, Func<int, StoredMlp> expert)
    {
        (Index, Options, Router, _expert) = (index, options, router, expert);
    }

    /// <summary>The layer's place in the model, from 0.</summary>
    public int Index { get; }

    /// <summary>What the layer computes.</summary>
    public MoeOptions Options { get; }

    /// <summary>The router's parameters.</summary>
    public RouterParameters Router { get; }

    /// <summary>The shared expert; null without one.</summary>
    public StoredMlp? Shared { get; internal init; }

    /// <summary>The row [1, D] whose sigmoid weights the shared expert; null without one.</summary>
    public WeightMatrix? SharedRouter { get; internal init; }

    /// <summary>The formats of the experts' weights in words, such as <c>BF16</c>.</summary>
    public required IReadOnlyList<string> Formats { get; init; }

    /// <summary>The names of all tensors that the layer consists of.</summary>
    public required IReadOnlyList<string> Tensors { get; init; }

    /// <summary>The way in which the experts are stored.</summary>
    internal IReadOnlyList<StoredWeight> ExpertWay { get; init; } = [];

    /// <summary>The way in which the shared expert is stored; null without one.</summary>
    internal IReadOnlyList<StoredWeight>? SharedWay { get; init; }

    /// <summary>An expert.</summary>
    /// <param name="index">Its number, 0 to E - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such expert.</exception>
    public StoredMlp Expert(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Options.Router.ExpertCount);

        return _expert(index);
    }
}

/// <summary>The parameters of a router; those that its options do not have are null.</summary>
/// <param name="Weight">The matrix [E, D].</param>
public sealed record RouterParameters(WeightMatrix Weight)
{
    /// <summary>The bias of the logits [E].</summary>
    public IReadOnlyList<float>? LogitBias { get; init; }

    /// <summary>The bias of the selection [E].</summary>
    public IReadOnlyList<float>? CorrectionBias { get; init; }

    /// <summary>What quantile balancing takes off the logits [E].</summary>
    public IReadOnlyList<float>? QuantileBias { get; init; }

    /// <summary>The factors of the weights [E].</summary>
    public IReadOnlyList<float>? PerExpertScale { get; init; }

    /// <summary>The scale of what the router reads [D].</summary>
    public IReadOnlyList<float>? InputScale { get; init; }

    /// <summary>The experts of each token id [V, K].</summary>
    public IReadOnlyList<long>? TokenTable { get; init; }
}
