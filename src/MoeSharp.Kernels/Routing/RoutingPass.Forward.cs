using System.Diagnostics.CodeAnalysis;

namespace MoeSharp;

internal sealed unsafe partial class RoutingPass
{
    private long _faultyToken = long.MaxValue;
    private float[]? _choices;              // [T, E]: where the selection looks at all tokens
    private List<int>[]? _chosenExperts;    // per token: where experts chose
    private int[]?[] _references = [];      // [T, K] per kind: a plain top-k of its scores
    private float[] _partialScores = [];    // [chunks, kinds, padded]
    private double[] _partialSums = [];     // [chunks, 3]: z, entropy, largest weight

    public RoutingPlan Route()
    {
        PrepareSums();
        bool seesAll = _given is null && SeesAllTokens;
        if (seesAll) ChooseForAll();

        _plan = new RoutingPlan(_tokens, Width(), _experts) { Max = new float[_tokens], InverseSum = new float[_tokens] };
        _chunks.ForEach(_experts, RouteChunk);
        if (_faultyToken != long.MaxValue) ThrowFaulty((int)_faultyToken);

        Drop();
        ExpertOrder.Fill(Plan);
        Plan.Sums = Sum();
        return Plan;
    }

    // plain top-k serves Sinkhorn outside training
    private bool SeesAllTokens => _router.Select.SeesAllTokens && (_isTraining || _router.Select is not Selection.Sinkhorn);

    private int Width() =>
        _given is not null ? _givenWidth
        : _chosenExperts is { } chosen ? chosen.Select(experts => experts.Count).DefaultIfEmpty(0).Max()
        : _router.TopK;

    private void PrepareSums()
    {
        _partialScores = new float[_chunks.Count * _kernel.Kinds.Count * _padded];
        _partialSums = new double[_chunks.Count * 3];
        _references = [.. _kernel.CountsTopK.Select(counts => counts ? new int[_tokens * _router.TopK] : null)];
    }

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
            Score(token, row, out _, out _, out _);
            new Span<float>(ScoresOf(row), _experts).CopyTo(_choices.AsSpan(token * _experts, _experts));
        }
    }

    /// <summary>What moves the choice of each expert: the correction bias or the quantile bias; null for neither.</summary>
    private float* ChoiceBias => _router.Select is Selection.QuantileBalance ? _quantiles : _bias;

    private void RouteChunk(int chunk)
    {
        var row = RowScratch.Of(_padded);
        if (ChoiceBias is not null) RowMath.Load(ChoiceBias, row.Bias, _experts, 0);
        var (first, end) = _chunks.Tokens(chunk);
        fixed (int* experts = Plan.Experts)
        fixed (float* weights = Plan.Weights)
        {
            for (int token = first; token < end; token++) RouteToken(token, chunk, row, experts + (long)token * Plan.Width, weights + (long)token * Plan.Width);
        }
    }

    private void RouteToken(int token, int chunk, RowScratch row, int* experts, float* weights)
    {
        new Span<int>(experts, Plan.Width).Fill(-1);
        if (!IsRouted(token)) return;

        Score(token, row, out float max, out float sum, out bool hasNaN);
        (Plan.Max[token], Plan.InverseSum[token]) = (max, 1 / sum);

        int count = Select(token, row, experts, weights);
        _finish.Finish(weights, experts, _scale, weights, count);

        if (hasNaN || HasNaN(weights, count)) MarkFaulty(token);
        else if (IsCounted(token)) Count(token, chunk, row, max, sum, weights, count);
    }

    /// <summary>Fills the experts and raw weights of a token and returns their number.</summary>
    private int Select(int token, RowScratch row, int* experts, float* raw)
    {
        int count = SelectExperts(token, row, experts);
        if (_router.Select is Selection.SparseMixer) SparseMixer(token, row, given: _given is not null, experts, raw);
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

    private void Count(int token, int chunk, RowScratch row, float max, float sum, float* weights, int count)
    {
        fixed (float* partial = &_partialScores[chunk * _kernel.Kinds.Count * _padded])
        {
            for (int kind = 0; kind < _kernel.Kinds.Count; kind++)
            {
                float* scores = KindScores(_kernel.Kinds[kind], row, out float divisor);
                if (divisor == 1) RowMath.Add(scores, partial + kind * _padded, _padded);
                else RowMath.AddScaled(scores, 1 / divisor, partial + kind * _padded, _padded);
                if (_references[kind] is { } reference) Reference(token, row, scores, reference);
            }
        }

        double z = max + MathF.Log(sum);
        float top = 0;
        for (int k = 0; k < count; k++) top = MathF.Max(top, weights[k]);
        var sums = _partialSums.AsSpan(chunk * 3, 3);
        sums[0] += z * z;
        sums[1] += RowMath.Entropy(row.Logits, row.Softmax, _padded, max, sum);
        sums[2] += top;
    }

    private void Reference(int token, RowScratch row, float* scores, int[] reference)
    {
        fixed (int* selected = &reference[token * _router.TopK]) TopK(scores, row, _router.TopK, selected, null);
    }

    /// <summary>The scores that a kind of loss averages; they are to be divided by <paramref name="divisor"/>.</summary>
    private float* KindScores(ScoreKind kind, RowScratch row, out float divisor)
    {
        divisor = 1;
        switch (kind.Scores)
        {
            case BalanceScores.Softmax:
                return row.Softmax;
            case BalanceScores.RouterNormalized:
                divisor = RowMath.Sum(ScoresOf(row), _experts) + (float)kind.Epsilon;
                return ScoresOf(row);
            case BalanceScores.SoftmaxOfBiasedScore:
                SoftmaxOfBiased(row);
                return row.Spare;
            default:
                return ScoresOf(row);
        }
    }

    private void SoftmaxOfBiased(RowScratch row)
    {
        float* choice = row.Choice;
        new Span<float>(ScoresOf(row), _experts).CopyTo(new Span<float>(choice, _experts));
        for (int e = 0; _bias is not null && e < _experts; e++) choice[e] += _bias[e];
        for (int e = _experts; e < _padded; e++) choice[e] = float.NegativeInfinity;
        float sum = RowMath.ExpSum(choice, row.Spare, _experts, RowMath.Max(choice, _padded, out _));
        RowMath.Scale(row.Spare, _padded, 1 / sum);
    }

    private void Drop()
    {
        var dispatch = _options.Dispatch;
        if (dispatch.RaggedBuffer is { } buffer) ReceiveBuffers.Assign(buffer, Plan, _router.TopK, _sequences, _length);
        else if (dispatch.Capacity is { } capacity) Capacity.Assign(capacity, Plan, _router.TopK, _sequences, _length);
    }

    private RoutingSums Sum()
    {
        int kinds = _kernel.Kinds.Count;
        var sums = new RoutingSums(_groups.Groups, _experts, kinds);
        for (int chunk = 0; chunk < _chunks.Count; chunk++)
        {
            int group = _chunks.Group(chunk);
            for (int kind = 0; kind < kinds; kind++) AddTo(sums.Scores[kind].AsSpan(group * _experts, _experts), _partialScores.AsSpan((chunk * kinds + kind) * _padded, _experts));
            sums.Z += _partialSums[chunk * 3];
            sums.Entropy += _partialSums[chunk * 3 + 1];
            sums.TopWeight += _partialSums[chunk * 3 + 2];
        }

        CountPairs(sums);
        for (int kind = 0; kind < kinds; kind++)
        {
            if (_references[kind] is { } reference) sums.TopKOfScores[kind] = CountReference(reference);
        }

        if (_isTraining && _router.Select is Selection.QuantileBalance)
            sums.Quantiles = TokenQuantiles.Of(new(_logits, _tokens * _experts), new(_quantiles, _experts), IsCounted, _router.TopK);
        return sums;
    }

    private void CountPairs(RoutingSums sums)
    {
        for (int token = 0; token < _tokens; token++)
        {
            if (!IsCounted(token)) continue;

            int group = token / _groups.Length;
            sums.Tokens[group]++;
            for (int pair = token * Plan.Width; pair < (token + 1) * Plan.Width; pair++)
            {
                if (Plan.Experts[pair] < 0) continue;
                sums.Routed[group * _experts + Plan.Experts[pair]]++;
                if (Plan.IsKept(pair)) sums.Kept[group * _experts + Plan.Experts[pair]]++;
            }
        }
    }

    private int[] CountReference(int[] reference)
    {
        int[] counts = new int[_groups.Groups * _experts];
        for (int token = 0; token < _tokens; token++)
        {
            if (!IsCounted(token)) continue;
            foreach (int expert in reference.AsSpan(token * _router.TopK, _router.TopK)) counts[token / _groups.Length * _experts + expert]++;
        }

        return counts;
    }

    private static void AddTo(Span<float> sum, ReadOnlySpan<float> part)
    {
        for (int i = 0; i < sum.Length; i++) sum[i] += part[i];
    }
}
