namespace MoeSharp;

/// <summary>The rows of a pass: where each expert's begin, which token each is, and which row each (token, slot) pair became.</summary>
internal sealed class ExpertRows
{
    private int[] _tokens = [], _rows = [];

    /// <summary>The number R of rows.</summary>
    public int Count { get; private set; }

    /// <summary>How many of them are routed; they come before those of the shared expert.</summary>
    public int Routed { get; private set; }

    /// <summary>The plan that the rows are of.</summary>
    public RoutingPlan Plan { get; private set; } = new(0, 0, 1);

    /// <summary>The token of each row.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);

    /// <summary>The row of each pair; -1 where it was dropped or free.</summary>
    public ReadOnlySpan<int> Rows => _rows.AsSpan(0, Plan.Experts.Length);

    /// <summary>Takes the rows of a plan, and after them all tokens in order where there is a shared expert.</summary>
    public void Take(RoutingPlan plan, bool hasShared = false)
    {
        int[] order = plan.Order;
        (Plan, Routed, Count) = (plan, order.Length, order.Length + (hasShared ? plan.TokenCount : 0));
        if (_tokens.Length < Count) _tokens = new int[Count];
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

    /// <summary>The first row of an expert and the number of its rows; E stands for the shared expert.</summary>
    public (int First, int Count) Of(int expert) => expert == Plan.ExpertCount ? (Routed, Count - Routed) : (Plan.Offsets[expert], Plan.Offsets[expert + 1] - Plan.Offsets[expert]);

    /// <summary>Whether an expert's rows are tokens that follow each other.</summary>
    public bool AreNeighbours(int expert)
    {
        var (first, count) = Of(expert);
        for (int row = first + 1; row < first + count; row++)
        {
            if (_tokens[row] != _tokens[row - 1] + 1) return false;
        }

        return true;
    }
}
