using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace MoeSharp;

internal sealed unsafe partial class RoutingPass
{
    private long _faultyToken = long.MaxValue;
    private float[]? _choices;              // [T, E]: where the selection looks at all tokens
    private List<int>[]? _chosenExperts;    // per token: where experts chose

    /// <summary>Experts, weights and order of all tokens; keeps their scores [T, E] where <paramref name="scores"/> is not null.</summary>
    public RoutingPlan Route(ScorePointer scores)
    {
        _kept = scores.Values;
        if (_given is null && SeesAllTokens) ChooseForAll();

        _plan = new RoutingPlan(_tokens, Width(), _experts);
        bool inBlocks = _given is null && (_mask is null || !_masksRouting) && TokenBlock.CanRoute(_router);
        _chunks.ForEach(_experts, inBlocks ? RouteBlocks : RouteRows);
        if (_faultyToken != long.MaxValue) ThrowFaulty((int)_faultyToken);

        Drop();
        ExpertOrder.Fill(Plan);
        return Plan;
    }

    /// <summary>Where scores [T, E] are kept or lie; null for nowhere.</summary>
    public readonly struct ScorePointer(float* values)
    {
        public readonly float* Values = values;
    }

    // plain top-k serves Sinkhorn outside training
    private bool SeesAllTokens => _router.Select.SeesAllTokens && (_isTraining || _router.Select is not Selection.Sinkhorn);

    private int Width() =>
        _given is not null ? _givenWidth
        : _chosenExperts is { } chosen ? chosen.Select(experts => experts.Count).DefaultIfEmpty(0).Max()
        : _router.TopK;

    private void ChooseForAll()
    {
        _choices = new float[_tokens * _experts];
        if (_router.Select is Selection.Sinkhorn sinkhorn)
        {
            SinkhornBalance.Normalize(new(_logits, _tokens * _experts), IsRouted, _experts, sinkhorn, _choices);
            return;
        }

        _chunks.ForEach(_experts, ScoreChunk);
        var capacity = _options.Dispatch.Capacity!;     // expert choice does not validate without
        var scopes = Capacity.Scopes(capacity, _sequences, _length);
        int slots = scopes.Length == 0 ? 0 : capacity.SlotsFor(scopes[0].End.Value - scopes[0].Start.Value, _router.TopK, _experts);
        _chosenExperts = ExpertChoice.Choose(_choices, _experts, scopes, slots, IsRouted);
    }

    private void ScoreChunk(int chunk)
    {
        var row = RowScratch.Of(_padded);
        var (first, end) = _chunks.Tokens(chunk);
        for (int token = first; token < end; token++)
        {
            Score(token, row, out _);
            new Span<float>(ScoresOf(row), _experts).CopyTo(_choices.AsSpan(token * _experts, _experts));
        }
    }

    /// <summary>What moves the choice of each expert: the correction bias or the quantile bias; null for neither.</summary>
    private float* ChoiceBias => _router.Select is Selection.QuantileBalance ? _quantiles : _bias;

    private void RouteRows(int chunk)
    {
        var (first, end) = _chunks.Tokens(chunk);
        RouteRows(first, end);
    }

    private void RouteRows(int first, int end)
    {
        if (first == end) return;

        var row = RowScratch.Of(_padded);
        if (ChoiceBias is not null) RowMath.Load(ChoiceBias, row.Bias, _experts, 0);
        fixed (int* experts = Plan.Experts)
        fixed (float* weights = Plan.Weights)
        {
            for (int token = first; token < end; token++) RouteToken(token, row, experts + (long)token * Plan.Width, weights + (long)token * Plan.Width);
        }
    }

    // whole blocks, then what is left row by row: both have the same bits
    private void RouteBlocks(int chunk)
    {
        var (first, end) = _chunks.Tokens(chunk);
        int token = first;
        if (end - first >= TokenBlock.Tokens)
        {
            var block = TokenBlock.Of(_padded);
            fixed (int* experts = Plan.Experts)
            fixed (float* weights = Plan.Weights)
            {
                for (; token + TokenBlock.Tokens <= end; token += TokenBlock.Tokens)
                {
                    long start = (long)token * _experts, pair = (long)token * Plan.Width;
                    uint faulty = block.Route(_logits + start, _router, _bias, _scale, _kept is null ? null : _kept + start, experts + pair, weights + pair);
                    if (faulty != 0) MarkFaulty(token + BitOperations.TrailingZeroCount(faulty));
                }
            }
        }

        RouteRows(token, end);
    }

    private void RouteToken(int token, RowScratch row, int* experts, float* weights)
    {
        new Span<int>(experts, Plan.Width).Fill(-1);
        new Span<float>(weights, Plan.Width).Clear();
        if (!IsRouted(token)) return;

        Score(token, row, out bool hasNaN);
        if (_kept is not null) new ReadOnlySpan<float>(ScoresOf(row), _experts).CopyTo(new Span<float>(_kept + (long)token * _experts, _experts));

        int count = Select(token, row, experts, weights);
        _finish.Finish(weights, experts, _scale, weights, count);
        if (hasNaN || HasNaN(weights, count)) MarkFaulty(token);
    }

    /// <summary>Fills the experts and raw weights of a token and returns their number.</summary>
    private int Select(int token, RowScratch row, int* experts, float* raw)
    {
        int count = SelectExperts(token, row, experts);
        if (_router.Select is Selection.SparseMixer) SparseMixer(token, row, given: _given is not null, experts, raw, near: row.Spare);
        else RawWeights(row, experts, raw, count);
        return count;
    }

    private int SelectExperts(int token, RowScratch row, int* experts)
    {
        int k = _router.TopK;
        if (_given is not null) return Given(token, experts);
        switch (_router.Select)
        {
            case Selection.TopK: TopK(Biased(row), row, k, experts, _router.GroupLimit); return k;
            case Selection.QuantileBalance: RowMath.Subtract(row.Logits, row.Bias, row.Choice, _padded); TopK(row.Choice, row, k, experts, null); return k;
            case Selection.Sinkhorn: TopK(_isTraining ? Choices(token, row) : ScoresOf(row), row, k, experts, null); return k;
            case Selection.TokenTable: for (int i = 0; i < k; i++) experts[i] = (int)_table[_ids[token] * k + i]; return k;
            case Selection.RoundRobin: for (int i = 0; i < k; i++) experts[i] = (int)(((long)token * k + i) % _experts); return k;
            case Selection.Random: Random(token, row, k, experts); return k;
            case Selection.ExpertChoice: return Chosen(token, experts);
            case Selection.SparseMixer: return 2;       // selects with its weights
            default: throw new InvalidOperationException($"There is no selection {_router.Select}.");
        }
    }

    private int Given(int token, int* experts)
    {
        int count = 0;
        for (int i = 0; i < _givenWidth; i++)
        {
            if (_given[(long)token * _givenWidth + i] is >= 0 and var expert) experts[count++] = (int)expert;
        }

        return count;
    }

    private int Chosen(int token, int* experts)
    {
        var chosen = _chosenExperts![token];        // made before any token is routed
        for (int i = 0; i < chosen.Count; i++) experts[i] = chosen[i];
        return chosen.Count;
    }

    // a shuffle's first k: different experts, all equally likely
    private void Random(int token, RowScratch row, int k, int* experts)
    {
        var random = new CounterRandom(_router.Seed, _step, 2);
        for (int e = 0; e < _experts; e++) row.Choice[e] = random.Uniform((long)token * _experts + e);
        TopK(row.Choice, row, k, experts, null);
    }

    private float* Biased(RowScratch row)
    {
        if (_bias is null) return ScoresOf(row);

        RowMath.Add(ScoresOf(row), row.Bias, row.Choice, _padded);
        return row.Choice;
    }

    private float* Choices(int token, RowScratch row)
    {
        _choices.AsSpan(token * _experts, _experts).CopyTo(new Span<float>(row.Choice, _experts));
        return row.Choice;
    }

    private void TopK(float* choice, RowScratch row, int k, int* selected, GroupLimit? limit)
    {
        RowTopK.Keys(choice, row.Keys, _experts);
        if (limit is not null) RowGroups.Apply(row.Keys, _experts, limit, row.Ranks, row.Kept);
        RowTopK.Select(row.Keys, _padded, k, selected);
    }

    private static bool HasNaN(float* weights, int count)
    {
        for (int k = 0; k < count; k++)
        {
            if (float.IsNaN(weights[k])) return true;
        }

        return false;
    }

    private void MarkFaulty(int token)
    {
        long seen = Volatile.Read(ref _faultyToken);
        while (token < seen)
        {
            long before = Interlocked.CompareExchange(ref _faultyToken, token, seen);
            if (before == seen) return;
            seen = before;
        }
    }

    [DoesNotReturn]
    private void ThrowFaulty(int token)
    {
        var row = new ReadOnlySpan<float>(_logits + (long)token * _experts, _experts);
        for (int e = 0; e < row.Length; e++)
        {
            if (float.IsNaN(row[e]))
            {
                throw new MoeException($"The router logit of token {token} for expert {e} is not a number: the token's hidden state or the gate's weight is not finite. "
                    + "Look for the first layer whose input is not finite.");
            }
        }

        throw new MoeException($"The routing weights of token {token} are not numbers though its router logits are: its selected scores sum to zero, "
            + "or the per-expert scale is not finite. Set RenormalizeEpsilon, or check the scale.");
    }

    private void Drop()
    {
        var dispatch = _options.Dispatch;
        if (dispatch.RaggedBuffer is { } buffer) ReceiveBuffers.Assign(buffer, Plan, _router.TopK, _sequences, _length);
        else if (dispatch.Capacity is { } capacity) Capacity.Assign(capacity, Plan, _router.TopK, _sequences, _length);
    }
}
