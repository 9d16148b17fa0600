namespace MoeSharp;

internal sealed unsafe partial class RoutingPass
{
    /// <summary>The pinned gradients of a call; null pointers stand for zeros, or for what is not wanted.</summary>
    public readonly struct GradientPointers(float* weights, float* scores, float z, float* logits, float* scale, float* bias)
    {
        public readonly float* Weights = weights, Scores = scores, Logits = logits, Scale = scale, Bias = bias;
        public readonly float Z = z;
    }

    public bool Backward(GradientPointers given)
    {
        float[] partials = new float[_chunks.Count * 2 * _padded];     // per chunk: per-expert scale, correction bias
        _chunks.ForEach(_experts, chunk =>
        {
            var row = RowScratch.Of(_padded);
            var (first, end) = _chunks.Tokens(chunk);
            fixed (float* partial = &partials[chunk * 2 * _padded])
            {
                for (int token = first; token < end; token++) BackwardToken(token, _chunks.Group(chunk), row, given, partial);
            }
        });

        if (given.Scale is not null) SumPartials(partials, 0, given.Scale);
        if (given.Bias is not null) SumPartials(partials, 1, given.Bias);
        return true;
    }

    private void SumPartials(float[] partials, int part, float* sum)
    {
        new Span<float>(sum, _experts).Clear();
        for (int chunk = 0; chunk < _chunks.Count; chunk++) AddTo(new Span<float>(sum, _experts), partials.AsSpan((chunk * 2 + part) * _padded, _experts));
    }

    private void BackwardToken(int token, int group, RowScratch row, GradientPointers given, float* partial)
    {
        var dLogits = new Span<float>(given.Logits + (long)token * _experts, _experts);
        if (!IsRouted(token))
        {
            dLogits.Clear();
            return;
        }

        ScoreAgain(token, row);
        Clear(row.DLogits);
        Clear(row.DScores);
        Clear(row.DSoftmax);
        if (given.Weights is not null) BackwardWeights(token, row, given.Weights + (long)token * Plan.Width, partial);

        bool isCounted = IsCounted(token);
        if (isCounted && given.Scores is not null) BackwardSums(group, row, given.Scores, partial + _padded);
        float z = isCounted ? given.Z * 2 * (Plan.Max[token] - MathF.Log(Plan.InverseSum[token])) : 0;
        BackwardScore(row, z);
        new ReadOnlySpan<float>(row.DLogits, _experts).CopyTo(dLogits);
    }

    private void ScoreAgain(int token, RowScratch row)
    {
        RowMath.Load(_logits + (long)token * _experts, row.Logits, _experts, float.NegativeInfinity);
        RowMath.ExpSum(row.Logits, row.Softmax, _experts, Plan.Max[token]);
        RowMath.Scale(row.Softmax, _padded, Plan.InverseSum[token]);
        Score(row);
    }

    private void BackwardWeights(int token, RowScratch row, float* upstream, float* scalePartial)
    {
        int count = 0;
        int* experts = row.Selected;
        while (count < Plan.Width && Plan.Experts[token * Plan.Width + count] is >= 0 and var expert) experts[count++] = expert;

        // a token has at most E experts: rows are long enough
        float* raw = row.Choice, gradients = row.Spare;
        if (_router.Select is Selection.SparseMixer) SparseMixer(token, row, given: true, experts, raw);
        else RawWeights(row, experts, raw, count);
        new ReadOnlySpan<float>(upstream, count).CopyTo(new Span<float>(gradients, count));
        _finish.Backward(raw, experts, _scale, gradients, scalePartial, count);

        if (_router.Select is Selection.SparseMixer mixer) new SparseMixerRow(mixer, _experts, _isTraining).Backward(row.Logits, experts, gradients, row.Draws, row.DLogits);
        else if (_router.Weights == WeightSource.SoftmaxOfSelected) BackwardSoftmaxOfSelected(experts, raw, gradients, row.DLogits, count);
        else for (int k = 0; k < count; k++) row.DScores[experts[k]] += gradients[k];
    }

    private static void BackwardSoftmaxOfSelected(int* experts, float* raw, float* gradients, float* dLogits, int count)
    {
        float mean = 0;
        for (int k = 0; k < count; k++) mean += gradients[k] * raw[k];
        for (int k = 0; k < count; k++) dLogits[experts[k]] += raw[k] * (gradients[k] - mean);
    }

    private void BackwardSums(int group, RowScratch row, float* upstream, float* biasPartial)
    {
        for (int kind = 0; kind < _kernel.Kinds.Count; kind++)
        {
            float* g = row.Choice;
            RowMath.Load(upstream + ((long)kind * _groups.Groups + group) * _experts, g, _experts, 0);
            float* scores = ScoresOf(row);
            switch (_kernel.Kinds[kind].Scores)
            {
                case BalanceScores.Softmax:
                    RowMath.Add(g, row.DSoftmax, _padded);
                    break;
                case BalanceScores.Router:
                    RowMath.Add(g, row.DScores, _padded);
                    break;
                case BalanceScores.RouterNormalized:
                    float divisor = RowMath.Sum(scores, _experts) + (float)_kernel.Kinds[kind].Epsilon, inner = 0;
                    for (int e = 0; e < _experts; e++) inner += g[e] * scores[e];
                    RowMath.AddNormalizedBackward(g, inner / divisor, divisor, row.DScores, _padded);
                    break;
                case BalanceScores.SoftmaxOfBiasedScore:
                    BackwardSoftmaxOfBiased(row, g, biasPartial);
                    break;
            }
        }
    }

    private void BackwardSoftmaxOfBiased(RowScratch row, float* g, float* biasPartial)
    {
        float* kept = row.Draws;                                       // Choice and Spare are scratch of the softmax
        new ReadOnlySpan<float>(g, _padded).CopyTo(new Span<float>(kept, _padded));
        SoftmaxOfBiased(row);
        Clear(row.Choice);
        RowMath.AddSoftmaxBackward(row.Spare, kept, 0, row.Choice, _padded);
        RowMath.Add(row.Choice, row.DScores, _padded);
        RowMath.Add(row.Choice, biasPartial, _padded);
    }

    /// <summary>From the gradients of softmax, score and logsumexp² to those of the logits.</summary>
    private void BackwardScore(RowScratch row, float z)
    {
        switch (_router.Score)
        {
            case ScoreFunction.Softmax: RowMath.Add(row.DScores, row.DSoftmax, _padded); break;
            case ScoreFunction.Sigmoid: RowMath.AddSigmoidBackward(row.OwnScores, row.DScores, row.DLogits, _padded); break;
            case ScoreFunction.SqrtSoftplus: RowMath.AddSqrtSoftplusBackward(row.Logits, row.OwnScores, row.DScores, row.DLogits, _padded); break;
            default: RowMath.Add(row.DScores, row.DLogits, _padded); break;
        }

        RowMath.AddSoftmaxBackward(row.Softmax, row.DSoftmax, z, row.DLogits, _padded);
    }

    private void Clear(float* row) => new Span<float>(row, _padded).Clear();
}
