using System.Diagnostics;

namespace MoeSharp;

/// <summary>Which experts each token goes to, with which weights, and the order that groups the work by expert.</summary>
/// <remarks>
/// A pair is one (token, slot), numbered token · <see cref="Width"/> + slot. Tokens may have different numbers of experts: slots that
/// are free hold expert -1 and weight 0.
/// </remarks>
[DebuggerDisplay("{ToString(),nq}")]
public sealed class RoutingPlan
{
    internal RoutingPlan(int tokenCount, int width, int expertCount)
    {
        (TokenCount, Width, ExpertCount) = (tokenCount, width, expertCount);
        Experts = GC.AllocateUninitializedArray<int>(checked(tokenCount * width));
        Weights = GC.AllocateUninitializedArray<float>(Experts.Length);
        Offsets = new int[expertCount + 1];
    }

    /// <summary>A plan of given experts [T, width], weighted by zero.</summary>
    internal RoutingPlan(int[] experts, int tokenCount, int width, int expertCount)
    {
        (TokenCount, Width, ExpertCount, Experts) = (tokenCount, width, expertCount, experts);
        Weights = new float[experts.Length];
        Offsets = new int[expertCount + 1];
    }

    /// <summary>The number T of tokens.</summary>
    public int TokenCount { get; }

    /// <summary>The number of slots per token: K, or with expert choice the most experts that any token has.</summary>
    public int Width { get; }

    /// <summary>The number E of experts.</summary>
    public int ExpertCount { get; }

    /// <summary>The selected experts [T, Width], best first; -1 in free slots. Before dropping.</summary>
    public int[] Experts { get; }

    /// <summary>The weight of each pair [T, Width]; before dropping.</summary>
    public float[] Weights { get; }

    /// <summary>
    /// The slot of each pair in its expert's capacity [T, Width], or with a <see cref="RaggedBufferOptions"/> its row in the buffer of the shard that
    /// has its expert; -1 where it was dropped or free. Null when nothing can be dropped.
    /// </summary>
    public int[]? Slots { get; internal set; }

    /// <summary>The slots C of every expert per scope of its capacity, or the rows of a shard's buffer; 0 when nothing can be dropped.</summary>
    public int SlotsPerExpert { get; internal set; }

    /// <summary>The tokens that share one capacity; 0 when there is none.</summary>
    public int ScopeLength { get; internal set; }

    /// <summary>The R kept pairs sorted by expert, and within an expert by token.</summary>
    public int[] Order { get; internal set; } = [];

    /// <summary>The first row of each expert in <see cref="Order"/>; E + 1 values from 0 to R.</summary>
    public int[] Offsets { get; }

    /// <summary>Whether a pair has an expert and was not dropped.</summary>
    public bool IsKept(int pair) => Slots is null ? Experts[pair] >= 0 : Slots[pair] >= 0;

    /// <summary>The sizes of the plan and the rows of each expert.</summary>
    public override string ToString() =>
        $"{TokenCount} tokens to {ExpertCount} experts, rows per expert [{string.Join(", ", Offsets.Zip(Offsets.Skip(1), (start, end) => end - start))}]";
}
