using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace MoeSharp;

internal sealed unsafe partial class RoutingPass
{
    private const int LongestTogether = 256;            // sixteen longer rows do not stay in the nearest cache
    private const int LongestPlainTogether = 64;        // of a longer row its own way is faster

    private long _faultyToken = long.MaxValue;
    private float[]? _choices;              // [T, E]: where the selection looks at all tokens
    private List<int>[]? _chosenExperts;    // per token: where experts chose

    /// <summary>Experts, weights and order of all tokens; keeps their scores where <paramref name="scores"/> is not null.</summary>
    public RoutingPlan Route(ScorePointer scores)
    {
        _kept = scores.Values;
        if (_given is null && SeesAllTokens) ChooseForAll();

        _plan = new RoutingPlan(_tokens, Width(), _experts);
        bool inBlocks = _given is null && TokenBlock.CanRoute(_router);
        _chunks.ForEach(_experts, inBlocks ? RouteBlocks : RouteRows);
        if (_faultyToken != long.MaxValue) ThrowFaulty((int)_faultyToken);

        Drop();
        ExpertOrder.Fill(Plan);
        return Plan;
    }

    /// <summary>Where scores [T, E], or those of the selected experts [T, K], are to be kept; null for nowhere.</summary>
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
        bool together = _given is null && _router.Select is Selection.TopK && _router.TopK <= RowMath.Lanes && (_mask is null || !_masksRouting)
            && _padded > RowMath.Lanes && _padded <= (IsPlainSoftmax ? LongestPlainTogether : LongestTogether);
        fixed (int* experts = Plan.Experts)
        fixed (float* weights = Plan.Weights)
        {
            int token = first;
            for (; together && token + TokenBlock.Tokens <= end; token += TokenBlock.Tokens) RouteTogether(token, row, experts + (long)token * Plan.Width, weights + (long)token * Plan.Width);
            for (; token < end; token++) RouteToken(token, row, experts + (long)token * Plan.Width, weights + (long)token * Plan.Width);
        }
    }

    /// <summary>Sixteen rows whose thresholds of selection are found side by side: the one step of a row that is a long chain.</summary>
    private void RouteTogether(int first, RowScratch row, int* experts, float* weights)
    {
        uint faulty = 0;
        int* maxima = stackalloc int[TokenBlock.Tokens * RowMath.Lanes];
        for (int i = 0; i < TokenBlock.Tokens; i++)
        {
            Score(first + i, row, out bool hasNaN);
            if (hasNaN) faulty |= 1u << i;
            Buffer.MemoryCopy(ScoresOf(row), row.BlockScores(i), sizeof(float) * _padded, sizeof(float) * _padded);
            Keys(Biased(row), row, row.BlockKeys(i), _router.GroupLimit);
            RowTopK.Maxima(row.BlockKeys(i), _padded).Store(maxima + i * RowMath.Lanes);
        }

        var thresholds = LaneSort.KthLargest(maxima, _router.TopK);
        for (int i = 0; i < TokenBlock.Tokens; i++, experts += Plan.Width, weights += Plan.Width)
        {
            RowTopK.Select(row.BlockKeys(i), _padded, _router.TopK, experts, thresholds[i]);
            RawWeights(row.BlockScores(i), _logits + (long)(first + i) * _experts, experts, weights, _router.TopK);
            Keep(first + i, row.BlockScores(i), weights, _router.TopK);
            _finish.Finish(weights, experts, _scale, weights, _router.TopK);
            if (HasNaN(weights, _router.TopK)) faulty |= 1u << i;
        }

        if (faulty != 0) MarkFaulty(first + BitOperations.TrailingZeroCount(faulty));
    }

    // whole blocks, then what is left row by row: both have the same bits
    private void RouteBlocks(int chunk)
    {
        var (token, end) = _chunks.Tokens(chunk);
        for (; token + TokenBlock.Tokens <= end; token += TokenBlock.Tokens) RouteBlock(token);
        RouteRows(token, end);
    }

    private void RouteBlock(int first)
    {
        if (_mask is not null && _masksRouting && new ReadOnlySpan<bool>(_mask + first, TokenBlock.Tokens).Contains(false))
        {
            RouteRows(first, first + TokenBlock.Tokens);
            return;
        }

        long row = (long)first * _experts, pair = (long)first * Plan.Width;
        uint left;
        fixed (int* experts = Plan.Experts)
        fixed (float* weights = Plan.Weights)
        {
            float* kept = _kept is null ? null : _kept + (_kernel.KeepsRows ? row : pair);
            left = TokenBlock.Own.Route(_logits + row, _router, _bias, _scale, kept, _kernel.KeepsRows, experts + pair, weights + pair);
        }

        for (; left != 0; left &= left - 1)
        {
            int token = first + BitOperations.TrailingZeroCount(left);
            RouteRows(token, token + 1);
        }
    }

    private void RouteToken(int token, RowScratch row, int* experts, float* weights)
    {
        int count = 0;
        if (IsRouted(token)) count = RouteRow(token, row, experts, weights);
        for (int slot = count; slot < Plan.Width; slot++) (experts[slot], weights[slot]) = (-1, 0);
    }

    private int RouteRow(int token, RowScratch row, int* experts, float* weights)
    {
        if (IsPlainSoftmax) return RoutePlainRow(token, row, experts, weights);

        Score(token, row, out bool hasNaN);
        int count = Select(token, row, experts, weights);
        Keep(token, ScoresOf(row), weights, count);
        _finish.Finish(weights, experts, _scale, weights, count);
        if (hasNaN || HasNaN(weights, count)) MarkFaulty(token);
        return count;
    }

    /// <summary>Keeps what <see cref="RoutingKernel.KeptScores"/> says of a token: its scores, or those of its experts.</summary>
    private void Keep(int token, float* scores, float* raw, int count)
    {
        if (_kept is null) return;

        if (_kernel.KeepsRows) new ReadOnlySpan<float>(scores, _experts).CopyTo(new Span<float>(_kept + (long)token * _experts, _experts));
        else new ReadOnlySpan<float>(raw, count).CopyTo(new Span<float>(_kept + (long)token * Plan.Width, count));
    }

    private bool IsPlainSoftmax =>
        _given is null && _router is { Select: Selection.TopK, Score: ScoreFunction.Softmax, GroupLimit: null } && _bias is null && _router.TopK <= RowMath.Lanes && _padded > RowMath.Lanes;

    /// <summary>
    /// The k largest of a softmax: the k-th largest of the logits' lanes tells before the scores are there which these can be. Only what can
    /// be is divided where no scores are kept. Rows that have much of it are looked through for each expert.
    /// </summary>
    private int RoutePlainRow(int token, RowScratch row, int* experts, float* weights)
    {
        float* logits = _logits + (long)token * _experts, kept = _kept is null ? null : _kept + (long)token * _experts;
        float* scores = kept is not null && _padded == _experts ? kept : row.Softmax;
        row.TakeLogits(logits, _experts);
        var maxima = RowMath.Maxima(row.Logits, _padded, out bool hasNaN);
        float max = RowMath.Max(maxima), least = RowTopK.Value(LaneSort.Descending(RowTopK.Key(maxima))[_router.TopK - 1]);

        ulong* marks = (ulong*)row.Ranks;
        int words = (_padded + 63) / 64;
        marks[words - 1] = 0;
        // rows cross pages, where the hardware stops looking ahead
        float factor = 1 / RowMath.ExpSum(row.Logits, kept is null ? null : scores, _experts, max, LeastOfSameScore(least, max), (ushort*)marks, ahead: logits + 2L * _experts - row.Logits);
        if (kept is not null) RowMath.Scale(scores, _padded, factor);
        if (kept is not null && kept != scores) new ReadOnlySpan<float>(scores, _experts).CopyTo(new Span<float>(kept, _experts));

        int* marked = row.Places;
        int count = RowTopK.Marked(marks, words, marked);
        if (count < _router.TopK || count > RowTopK.MostCandidates)
        {
            if (kept is null)
            {
                RowMath.ExpSum(row.Logits, scores, _experts, max);
                RowMath.Scale(scores, _padded, factor);
            }

            RowTopK.Keys(scores, row.Keys, _experts);
            RowTopK.SelectByPasses(row.Keys, _padded, _router.TopK, experts);
        }
        else
        {
            if (kept is null) RowMath.ScoreAt(marked, count, row.Logits, max, factor, scores);
            RowTopK.SelectMarked(scores, marked, count, _router.TopK, experts);
        }

        RawWeights(scores, logits, experts, weights, _router.TopK);
        _finish.Finish(weights, experts, _scale, weights, _router.TopK);
        if (hasNaN || HasNaN(weights, _router.TopK)) MarkFaulty(token);
        return _router.TopK;
    }

    /// <summary>A logit below any whose score may equal that of <paramref name="logit"/> by rounding; far below the largest, all logits.</summary>
    private static float LeastOfSameScore(float logit, float max) => logit < max - 60 ? float.NegativeInfinity : logit - 2e-5f;

    /// <summary>Fills the experts and raw weights of a token and returns their number.</summary>
    private int Select(int token, RowScratch row, int* experts, float* raw)
    {
        int count = SelectExperts(token, row, experts);
        if (_router.Select is Selection.SparseMixer) SparseMixer(token, row, given: _given is not null, experts, raw, near: row.Spare);
        else RawWeights(ScoresOf(row), row.Logits, experts, raw, count);
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
        Keys(choice, row, row.Keys, limit);
        RowTopK.Select(row.Keys, _padded, k, selected);
    }

    private void Keys(float* choice, RowScratch row, int* keys, GroupLimit? limit)
    {
        RowTopK.Keys(choice, keys, _experts);
        if (limit is not null) RowGroups.Apply(keys, _experts, limit, row.Ranks, row.Kept);
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
