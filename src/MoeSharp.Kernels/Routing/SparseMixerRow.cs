namespace MoeSharp;

/// <summary>One token of <see cref="Selection.SparseMixer"/>: two rounds, the second without the first one's expert.</summary>
internal readonly unsafe struct SparseMixerRow(Selection.SparseMixer options, int experts, bool isTraining)
{
    // the reference's numbers for 1/3 and 2/3
    private const float Least = 0.3333f, Rest = 0.6667f, Chance = 0.75f;

    private readonly float _reach = 2 * (float)options.Jitter;

    /// <summary>The draws of one token in one round.</summary>
    /// <param name="Exponentials">A draw for every expert; null in evaluation.</param>
    /// <param name="Uniform">One draw of 0 to 1.</param>
    public readonly record struct Draws(nint Exponentials, float Uniform);

    /// <summary>The experts and raw weights of a token.</summary>
    /// <param name="logits">Its row of logits.</param>
    /// <param name="given">Whether <paramref name="selected"/> already holds the experts.</param>
    /// <param name="draws">Its draws in the two rounds.</param>
    /// <param name="near">Scratch [E].</param>
    /// <param name="selected">The two experts.</param>
    /// <param name="raw">Their weights.</param>
    public void Select(float* logits, bool given, ReadOnlySpan<Draws> draws, float* near, int* selected, float* raw)
    {
        for (int round = 0; round < 2; round++)
        {
            int excluded = round == 0 ? -1 : selected[0], best = Near(logits, excluded, near);
            if (!given) selected[round] = isTraining ? Sampled(near, (float*)draws[round].Exponentials) : best;
            float weight = Softmax(near, selected[round], near[best]);
            bool isWhole = !isTraining || selected[round] == best || draws[round].Uniform > Chance;
            raw[round] = isWhole && !isTraining ? weight : weight * (Least + (isWhole ? Rest : 0));
        }
    }

    /// <summary>Adds the gradient of the logits: w · g · (onehot(expert) - softmax(near)) per round, in training with w before its factor (an estimate).</summary>
    public void Backward(float* logits, int* selected, float* gradients, float* near, float* dLogits)
    {
        for (int round = 0; round < 2; round++)
        {
            int best = Near(logits, round == 0 ? -1 : selected[0], near);
            float top = near[best], sum = 0;
            for (int e = 0; e < experts; e++) sum += near[e] = Exp(near[e], top);

            float slope = near[selected[round]] / sum * gradients[round];
            for (int e = 0; e < experts; e++) dLogits[e] -= slope * (near[e] / sum);
            dLogits[selected[round]] += slope;
        }
    }

    /// <summary>The logits near the best one, minus infinity elsewhere; returns the best expert.</summary>
    private int Near(float* logits, int excluded, float* near)
    {
        int best = -1;
        for (int e = 0; e < experts; e++)
        {
            if (e != excluded && (best < 0 || logits[e] > logits[best])) best = e;
        }

        float top = logits[best];
        for (int e = 0; e < experts; e++)
        {
            bool isFar = (top - logits[e]) / MathF.Max(MathF.Abs(logits[e]), top) > _reach;
            near[e] = isFar || e == excluded ? float.NegativeInfinity : logits[e];
        }

        return best;
    }

    private int Sampled(float* near, float* exponentials)
    {
        int best = 0;
        float top = float.NegativeInfinity;
        for (int e = 0; e < experts; e++)
        {
            float value = near[e] - MathF.Log(exponentials[e]);
            if (value > top) (best, top) = (e, value);
        }

        return best;
    }

    private float Softmax(float* near, int expert, float top)
    {
        float sum = 0;
        for (int e = 0; e < experts; e++) sum += Exp(near[e], top);
        return Exp(near[expert], top) / sum;
    }

    private static float Exp(float value, float top) => value == top ? 1 : MathF.Exp(value - top);
}
