using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>The backward of weights alone, sixteen tokens side by side, one in each lane, as in <see cref="TokenBlock"/>.</summary>
internal sealed unsafe partial class RoutingPass
{
    /// <summary>Whether only weights send a gradient, and it needs no more than what was kept of the selected experts.</summary>
    private bool CanBackwardInBlocks(GradientPointers given) =>
        !given.HasLosses && given.Weights is not null && Plan.Width <= RowMath.Lanes && (_kernel.IsSoftmaxOfSelected || (given.Scores is not null && _scale is null && _router is
        {
            Weights: WeightSource.Score, Renormalize: Renormalization.Never or Renormalization.Always, Score: not ScoreFunction.SqrtSoftplus, Select: not Selection.SparseMixer,
        }));

    private void BackwardBlocks(int chunk, GradientPointers given)
    {
        var (first, end) = _chunks.Tokens(chunk);
        Vector512<float>* values = stackalloc Vector512<float>[RowMath.Lanes], gradients = stackalloc Vector512<float>[RowMath.Lanes];     // [slots]: a token per lane
        for (; first < end; first += RowMath.Lanes)
        {
            int tokens = Math.Min(end - first, RowMath.Lanes);
            ToColumns(given.Weights, first, tokens, (float*)gradients);
            if (_kernel.IsSoftmaxOfSelected)
            {
                fixed (float* weights = Plan.Weights) ToColumns(weights, first, tokens, (float*)values);
                BackwardSelected(values, gradients);
            }
            else
            {
                if (_kernel.KeepsRows) Gather(first, tokens, given.Scores, (float*)values, (float*)gradients);
                else TakePairs(first, tokens, given.Scores, values, gradients);
                BackwardScores(values, gradients);
            }

            Scatter(first, tokens, given, (float*)gradients);
        }
    }

    /// <summary>Rows of slots to columns; lanes without a token hold zeros.</summary>
    private void ToColumns(float* rows, int first, int tokens, float* columns)
    {
        float* own = stackalloc float[RowMath.Lanes * RowMath.Lanes], from = rows + (long)first * Plan.Width;
        if (tokens < RowMath.Lanes)
        {
            var whole = new Span<float>(own, RowMath.Lanes * Plan.Width);
            new ReadOnlySpan<float>(from, tokens * Plan.Width).CopyTo(whole);
            whole[(tokens * Plan.Width)..].Clear();
            from = own;
        }

        LaneTranspose.ToColumns(from, Plan.Width, columns);
    }

    /// <summary>The scores of the selected experts. Free slots have none, and no gradient.</summary>
    private void Gather(int first, int tokens, float* scores, float* raw, float* gradients)
    {
        int width = Plan.Width;
        float* row = scores + (long)first * _experts;
        fixed (int* experts = Plan.Experts)
        {
            int* chosen = experts + (long)first * width;
            for (int lane = 0; lane < tokens; lane++, row += _experts, chosen += width)
            {
                for (int slot = 0, place = lane; slot < width; slot++, place += RowMath.Lanes)
                {
                    if (chosen[slot] >= 0) raw[place] = row[chosen[slot]];
                    else (raw[place], gradients[place]) = (0, 0);
                }
            }
        }
    }

    /// <summary>The same where only these were kept.</summary>
    private void TakePairs(int first, int tokens, float* scores, Vector512<float>* raw, Vector512<float>* gradients)
    {
        Vector512<int>* chosen = stackalloc Vector512<int>[RowMath.Lanes];
        fixed (int* experts = Plan.Experts) ToColumns((float*)experts, first, tokens, (float*)chosen);
        ToColumns(scores, first, tokens, (float*)raw);
        for (int slot = 0; slot < Plan.Width; slot++)
        {
            var isTaken = Vector512.GreaterThanOrEqual(chosen[slot], Vector512<int>.Zero).AsSingle();
            (raw[slot], gradients[slot]) = (raw[slot] & isTaken, gradients[slot] & isTaken);
        }
    }

    /// <summary>Weights that are a softmax over the selected logits, times a scale: w · (g - Σ g·w / scale).</summary>
    private void BackwardSelected(Vector512<float>* weights, Vector512<float>* gradients)
    {
        var mean = Vector512<float>.Zero;
        for (int slot = 0; slot < Plan.Width; slot++) mean += gradients[slot] * weights[slot];
        mean /= Vector512.Create((float)_router.Scale);
        for (int slot = 0; slot < Plan.Width; slot++) gradients[slot] = weights[slot] * (gradients[slot] - mean);
    }

    /// <summary>Weights that are scores, renormalised or not: what <see cref="BackwardPairs"/> gives the selected logits.</summary>
    private void BackwardScores(Vector512<float>* raw, Vector512<float>* gradients)
    {
        var (inverse, mean, scale) = (Vector512<float>.One, Vector512<float>.Zero, Vector512.Create((float)_router.Scale));
        if (_router.Renormalize == Renormalization.Always)
        {
            var (sum, inner) = (Vector512<float>.Zero, Vector512<float>.Zero);
            for (int slot = 0; slot < Plan.Width; slot++)
            {
                sum += raw[slot];
                inner += gradients[slot] * scale * raw[slot];
            }

            inverse = Vector512<float>.One / (sum + Vector512.Create((float)_router.RenormalizeEpsilon));
            mean = inner * inverse;
        }

        for (int slot = 0; slot < Plan.Width; slot++)
        {
            var gradient = (gradients[slot] * scale - mean) * inverse;
            gradients[slot] = _router.Score switch
            {
                ScoreFunction.Identity => gradient,
                ScoreFunction.Sigmoid => gradient * raw[slot] * (Vector512<float>.One - raw[slot]),
                _ => gradient * raw[slot],
            };
        }
    }

    private void Scatter(int first, int tokens, GradientPointers given, float* gradients)
    {
        int width = Plan.Width;
        float* row = given.Logits + (long)first * _experts;
        bool reachesOthers = !_kernel.IsSoftmaxOfSelected && _router.Score == ScoreFunction.Softmax && width > 0;
        fixed (int* experts = Plan.Experts)
        {
            int* chosen = experts + (long)first * width;
            for (int lane = 0; lane < tokens; lane++, row += _experts, chosen += width)
            {
                if (reachesOthers && chosen[0] >= 0) ThroughSoftmax(first + lane, lane, given.Scores, gradients, row);
                else RowMath.Clear(row, _experts);

                for (int slot = 0, place = lane; slot < width && chosen[slot] >= 0; slot++, place += RowMath.Lanes) row[chosen[slot]] += gradients[place];     // a token table may name an expert twice
            }
        }
    }

    /// <summary>What a softmax carries to all experts: -s · Σ of the selected ones' gradients, which hold s already.</summary>
    private void ThroughSoftmax(int token, int lane, float* scores, float* gradients, float* row)
    {
        float sum = 0;
        for (int slot = 0; slot < Plan.Width; slot++) sum += gradients[slot * RowMath.Lanes + lane];
        RowMath.Scaled(scores + (long)token * _experts, -sum, row, _experts);
    }
}
