namespace MoeSharp;

internal sealed unsafe partial class RoutingPass
{
    /// <summary>The pinned scores and gradients of a call; null pointers stand for zeros, or for what is not wanted.</summary>
    public readonly struct GradientPointers(float* scores, float* weights, float* sums, float z, float* logits, float* scale, float* bias)
    {
        public readonly float* Scores = scores, Weights = weights, Sums = sums, Logits = logits, Scale = scale, Bias = bias;
        public readonly float Z = z;

        /// <summary>Whether losses send a gradient, so that the softmax of the logits is needed.</summary>
        public bool HasLosses => Sums is not null || Z != 0;
    }

    public bool Backward(GradientPointers given)
    {
        bool hasPartials = _scale is not null || _bias is not null;
        float[] partials = hasPartials ? new float[_chunks.Count * 2 * _padded] : [];     // per chunk: per-expert scale, correction bias
        if (CanBackwardInBlocks(given))
        {
            _chunks.ForEach(_experts, chunk => BackwardBlocks(chunk, given));
            if (given.Bias is not null) new Span<float>(given.Bias, _experts).Clear();
            return true;
        }

        _chunks.ForEach(_experts, chunk =>
        {
            var row = RowScratch.Of(_padded);
            var (first, end) = _chunks.Tokens(chunk);
            fixed (float* partial = hasPartials ? partials.AsSpan(chunk * 2 * _padded) : default)
            {
                for (int token = first; token < end; token++) BackwardToken(token, row, given, partial);
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

    private void BackwardToken(int token, RowScratch row, GradientPointers given, float* partial)
    {
        float* dLogits = given.Logits + (long)token * _experts;
        if (!IsRouted(token)) new Span<float>(dLogits, _experts).Clear();
        else if (given.HasLosses || _router.Select is Selection.SparseMixer) BackwardRow(token, row, given, partial, dLogits);
        else BackwardPairs(token, row, given, partial, dLogits);
    }

    /// <summary>Only weights send a gradient: K scores have one, and the softmax carries it to the others.</summary>
    private void BackwardPairs(int token, RowScratch row, GradientPointers given, float* partial, float* dLogits)
    {
        int* experts = row.Selected;
        float* raw = row.Choice, gradients = row.Spare, logits = _logits + (long)token * _experts;
        bool arePairs = given.Scores is not null && !_kernel.KeepsRows;
        float* scores = arePairs || _router.Weights == WeightSource.SoftmaxOfSelected ? null : RowOfScores(token, row, given.Scores);
        int count = Selected(token, given.Weights, experts, gradients);
        if (arePairs) new ReadOnlySpan<float>(given.Scores + (long)token * Plan.Width, count).CopyTo(new Span<float>(raw, count));
        else RawWeights(scores, logits, experts, raw, count);
        _finish.Backward(raw, experts, _scale, gradients, partial, count);

        if (_router.Weights == WeightSource.SoftmaxOfSelected || _router.Score != ScoreFunction.Softmax)
        {
            new Span<float>(dLogits, _experts).Clear();
            float mean = _router.Weights == WeightSource.SoftmaxOfSelected ? Dot(gradients, raw, count) : 0;
            for (int k = 0; k < count; k++) dLogits[experts[k]] += Slope(logits[experts[k]], raw[k]) * (gradients[k] - mean);
            return;
        }

        RowMath.Scaled(scores, -Dot(gradients, raw, count), dLogits, _experts);
        for (int k = 0; k < count; k++) dLogits[experts[k]] += raw[k] * gradients[k];
    }

    /// <summary>d weight / d logit of one expert, apart from what a softmax's other values add.</summary>
    private float Slope(float logit, float raw) =>
        _router.Weights == WeightSource.SoftmaxOfSelected ? raw
        : _router.Score switch
        {
            ScoreFunction.Sigmoid => raw * (1 - raw),
            ScoreFunction.SqrtSoftplus => raw == 0 ? 0 : 1 / (1 + MathF.Exp(-logit)) / (2 * raw),
            _ => 1,
        };

    /// <summary>The scores of all experts: those that were kept, or computed again.</summary>
    private float* RowOfScores(int token, RowScratch row, float* kept)
    {
        if (kept is not null) return kept + (long)token * _experts;

        Score(token, row, out _);
        return ScoresOf(row);
    }

    /// <summary>The experts of a token and the gradients of their weights; returns how many there are.</summary>
    private int Selected(int token, float* upstream, int* experts, float* gradients)
    {
        int count = 0;
        var pairs = Plan.Experts.AsSpan(token * Plan.Width, Plan.Width);
        while (count < pairs.Length && pairs[count] >= 0)
        {
            experts[count] = pairs[count];
            gradients[count] = upstream is null ? 0 : upstream[(long)token * Plan.Width + count];
            count++;
        }

        return count;
    }

    private static float Dot(float* a, float* b, int count)
    {
        float sum = 0;
        for (int k = 0; k < count; k++) sum += a[k] * b[k];
        return sum;
    }

    /// <summary>Losses send gradients to whole rows of scores.</summary>
    private void BackwardRow(int token, RowScratch row, GradientPointers given, float* partial, float* dLogits)
    {
        Score(token, row, out _);
        if (_router.Score != ScoreFunction.Softmax) Softmax(row);
        Clear(row.DLogits);
        Clear(row.DScores);
        Clear(row.DSoftmax);
        if (given.Weights is not null) BackwardWeights(token, row, given.Weights, partial);

        bool isCounted = IsCounted(token);
        if (isCounted && given.Sums is not null) BackwardSums(_groups.Length == 0 ? 0 : token / _groups.Length, row, given.Sums, partial + _padded);
        BackwardScore(row, isCounted ? given.Z * 2 * (row.Max + MathF.Log(row.Sum)) : 0);
        new ReadOnlySpan<float>(row.DLogits, _experts).CopyTo(new Span<float>(dLogits, _experts));
    }

    private void BackwardWeights(int token, RowScratch row, float* upstream, float* scalePartial)
    {
        // a token has at most E experts: rows are long enough
        int* experts = row.Selected;
        float* raw = row.Choice, gradients = row.Spare;
        if (_router.Select is Selection.SparseMixer mixer)
        {
            for (int k = 0; k < 2; k++) (experts[k], gradients[k]) = (Plan.Experts[token * 2 + k], upstream[(long)token * 2 + k]);
            SparseMixer(token, row, given: true, experts, raw, near: row.DScores);
            _finish.Backward(raw, experts, _scale, gradients, scalePartial, 2);
            new SparseMixerRow(mixer, _experts, _isTraining).Backward(row.Logits, experts, gradients, row.DScores, row.DLogits);
            Clear(row.DScores);
            return;
        }

        int count = Selected(token, upstream, experts, gradients);
        RawWeights(ScoresOf(row), row.Logits, experts, raw, count);
        _finish.Backward(raw, experts, _scale, gradients, scalePartial, count);
        if (_router.Weights == WeightSource.SoftmaxOfSelected) BackwardSoftmaxOfSelected(experts, raw, gradients, row.DLogits, count);
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
        if (_bias is not null) RowMath.Add(row.Choice, biasPartial, _padded);
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
