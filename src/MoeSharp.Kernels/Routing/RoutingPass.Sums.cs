namespace MoeSharp;

internal sealed unsafe partial class RoutingPass
{
    private int[]?[] _references = [];      // [T, K] per kind: a plain top-k of its scores
    private float[] _partialScores = [];    // [chunks, kinds, padded]
    private double[] _partialSums = [];     // [chunks, 3]: z, entropy, largest weight

    /// <summary>What losses, balancing and statistics need of a routed call.</summary>
    public RoutingSums Sum()
    {
        int kinds = _kernel.Kinds.Count;
        _partialScores = new float[_groupChunks.Count * kinds * _padded];
        _partialSums = new double[_groupChunks.Count * 3];
        _references = [.. _kernel.CountsTopK.Select(counts => counts ? new int[_tokens * _router.TopK] : null)];
        _groupChunks.ForEach(_experts, SumChunk);

        var sums = new RoutingSums(_groups.Groups, _experts, kinds);
        for (int chunk = 0; chunk < _groupChunks.Count; chunk++)
        {
            int group = _groupChunks.Group(chunk);
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

    private void SumChunk(int chunk)
    {
        var row = RowScratch.Of(_padded);
        var (first, end) = _groupChunks.Tokens(chunk);
        fixed (float* partial = &_partialScores[chunk * _kernel.Kinds.Count * _padded])
        {
            for (int token = first; token < end; token++)
            {
                if (IsCounted(token)) SumToken(token, row, partial, _partialSums.AsSpan(chunk * 3, 3));
            }
        }
    }

    private void SumToken(int token, RowScratch row, float* partial, Span<double> sums)
    {
        Score(token, row, out _);
        if (_router.Score != ScoreFunction.Softmax) Softmax(row);
        for (int kind = 0; kind < _kernel.Kinds.Count; kind++)
        {
            float* scores = KindScores(_kernel.Kinds[kind], row, out float divisor);
            if (divisor == 1) RowMath.Add(scores, partial + kind * _padded, _padded);
            else RowMath.AddScaled(scores, 1 / divisor, partial + kind * _padded, _padded);
            if (_references[kind] is { } reference) Reference(token, row, scores, reference);
        }

        double z = row.Max + MathF.Log(row.Sum);
        sums[0] += z * z;
        sums[1] += RowMath.Entropy(row.Logits, row.Softmax, _padded, row.Max, row.Sum);
        float top = 0;
        foreach (float weight in Plan.Weights.AsSpan(token * Plan.Width, Plan.Width)) top = MathF.Max(top, weight);
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
