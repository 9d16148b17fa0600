namespace MoeSharp;

/// <summary>Gives the pairs of a plan their slots in their expert's capacity.</summary>
internal sealed class Capacity
{
    private readonly CapacityOptions _options;
    private readonly RoutingPlan _plan;
    private readonly int _sequences, _length;

    private Capacity(CapacityOptions options, RoutingPlan plan, int sequences, int length)
    {
        (_options, _plan, _sequences, _length) = (options, plan, sequences, length);
    }

    /// <summary>The scopes that share a capacity: parts of sequences, sequences, or the whole batch.</summary>
    /// <exception cref="ArgumentException">The sequences cannot be cut into so many equal parts.</exception>
    public static Range[] Scopes(CapacityOptions options, int sequences, int length)
    {
        if (options.Scope == CapacityScope.Batch) return [0..(sequences * length)];
        if (length % options.Subsequences != 0)
            throw new ArgumentException($"Sequences of {length} tokens cannot be cut into {options.Subsequences} equal parts; change Dispatch.Capacity.Subsequences or the length.");

        int part = length / options.Subsequences;
        return [.. Enumerable.Range(0, sequences * options.Subsequences).Select(i => (i * part)..((i + 1) * part))];
    }

    /// <summary>Fills <see cref="RoutingPlan.Slots"/>: what finds its expert full is dropped.</summary>
    public static void Assign(CapacityOptions options, RoutingPlan plan, int topK, int sequences, int length)
    {
        var assignment = new Capacity(options, plan, sequences, length);
        var scopes = Scopes(options, sequences, length);
        plan.Slots = new int[plan.Experts.Length];
        Array.Fill(plan.Slots, -1);
        plan.ScopeLength = scopes.Length == 0 ? 0 : scopes[0].End.Value - scopes[0].Start.Value;
        plan.SlotsPerExpert = options.SlotsFor(plan.ScopeLength, topK, plan.ExpertCount);
        if (plan.Width == 0) return;        // experts chose no token
        foreach (var scope in scopes) assignment.Fill(scope);
    }

    private void Fill(Range scope)
    {
        Span<int> filled = new int[_plan.ExpertCount];
        foreach (int pair in InOrder(scope))
        {
            int expert = _plan.Experts[pair];
            if (expert >= 0 && filled[expert] < _plan.SlotsPerExpert) _plan.Slots![pair] = filled[expert]++;        // Assign made them
        }
    }

    private IEnumerable<int> InOrder(Range scope)
    {
        int width = _plan.Width;
        var tokens = Tokens(scope);
        var pairs = _options.Order is CapacityOrder.ChoiceFirst or CapacityOrder.PriorityFirst
            ? Enumerable.Range(0, width).SelectMany(slot => tokens.Select(token => token * width + slot))
            : tokens.SelectMany(token => Enumerable.Range(token * width, width));
        return _options.Drop == DropRule.Probability ? pairs.OrderByDescending(pair => _plan.Weights[pair]) : pairs;    // a stable sort: the order breaks ties
    }

    private IReadOnlyList<int> Tokens(Range scope)
    {
        var tokens = Enumerable.Range(scope.Start.Value, scope.End.Value - scope.Start.Value);
        return _options.Order switch
        {
            CapacityOrder.PriorityFirst => [.. tokens.OrderByDescending(token => _plan.Weights[token * _plan.Width])],
            CapacityOrder.SequenceFirst when _options.Scope == CapacityScope.Batch =>
                [.. Enumerable.Range(0, _length).SelectMany(s => Enumerable.Range(0, _sequences).Select(b => b * _length + s))],
            _ => [.. tokens],
        };
    }
}
