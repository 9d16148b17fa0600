using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeSharp;

/// <summary>The rows of a pass: where each expert's begin, which token each is, and which row each (token, slot) pair became.</summary>
internal sealed unsafe class ExpertRows
{
    private static readonly RoutingPlan NoPlan = new(0, 0, 1);

    private int[] _tokens = [], _rows = [];

    /// <summary>The number R of rows.</summary>
    public int Count { get; private set; }

    /// <summary>How many of them are routed; they come before those of the shared expert.</summary>
    public int Routed { get; private set; }

    /// <summary>The plan that the rows are of.</summary>
    public RoutingPlan Plan { get; private set; } = NoPlan;

    /// <summary>The token of each row.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);

    /// <summary>The token of a row and of those after it, for products that read them where they lie.</summary>
    public int* TokensFrom(int row) => (int*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_tokens)) + row;      // pinned

    /// <summary>The row of each slot of a token; -1 where it was dropped or free.</summary>
    public ReadOnlySpan<int> OfToken(int token) => _rows.AsSpan(token * Plan.Width, Plan.Width);

    /// <summary>Takes the rows of a plan, and after them all tokens in order where there is a shared expert.</summary>
    public void Take(RoutingPlan plan, bool hasShared = false)
    {
        int[] order = plan.Order;
        (Plan, Routed, Count) = (plan, order.Length, order.Length + (hasShared ? plan.TokenCount : 0));
        if (_tokens.Length < Count) _tokens = GC.AllocateUninitializedArray<int>(Count, pinned: true);
        if (_rows.Length < plan.Experts.Length) _rows = new int[plan.Experts.Length];
        if (order.Length < plan.Experts.Length) _rows.AsSpan(0, plan.Experts.Length).Fill(-1);

        uint width = (uint)Math.Max(plan.Width, 1);
        for (int row = 0; row < order.Length; row++)
        {
            _tokens[row] = (int)((uint)order[row] / width);
            _rows[order[row]] = row;
        }

        for (int row = Routed; row < Count; row++) _tokens[row] = row - Routed;
    }

    /// <summary>Lets go of the plan, and keeps the room for the next one.</summary>
    public void Forget() => (Plan, Routed, Count) = (NoPlan, 0, 0);

    /// <summary>The first row of an expert and the number of its rows; E stands for the shared expert.</summary>
    public (int First, int Count) Of(int expert) => expert == Plan.ExpertCount ? (Routed, Count - Routed) : (Plan.Offsets[expert], Plan.Offsets[expert + 1] - Plan.Offsets[expert]);
}
