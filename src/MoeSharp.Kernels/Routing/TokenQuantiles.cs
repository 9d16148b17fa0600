namespace MoeSharp;

/// <summary>The biases at which top-k would load every expert evenly, for <see cref="Selection.QuantileBalance"/>.</summary>
internal static class TokenQuantiles
{
    /// <summary>
    /// Per expert, the (C+1)-th largest over tokens of (logit - alpha), where alpha is the token's (K+1)-th largest biased logit and
    /// C = floor(T·K/E). Where there is no such value, the smallest one.
    /// </summary>
    /// <param name="logits">The logits [T, E].</param>
    /// <param name="bias">The current bias [E].</param>
    /// <param name="isCounted">Whether a token takes part.</param>
    /// <param name="topK">The number K.</param>
    public static float[] Of(ReadOnlySpan<float> logits, ReadOnlySpan<float> bias, Func<int, bool> isCounted, int topK)
    {
        int experts = bias.Length;
        int[] tokens = [.. Enumerable.Range(0, logits.Length / experts).Where(isCounted)];
        if (tokens.Length == 0) return bias.ToArray();

        float[] margins = new float[experts * tokens.Length], row = new float[experts];     // [E, tokens]
        for (int i = 0; i < tokens.Length; i++)
        {
            var own = logits.Slice(tokens[i] * experts, experts);
            for (int e = 0; e < experts; e++) row[e] = own[e] - bias[e];
            float alpha = DescendingAt(row, topK);
            for (int e = 0; e < experts; e++) margins[e * tokens.Length + i] = own[e] - alpha;
        }

        int capacity = (int)((long)tokens.Length * topK / experts);
        float[] quantiles = new float[experts];
        WorkerPool.Shared.ForEach(experts, e => quantiles[e] = DescendingAt(margins.AsSpan(e * tokens.Length, tokens.Length), capacity));
        return quantiles;
    }

    private static float DescendingAt(Span<float> values, int index)
    {
        values.Sort();
        return values[^Math.Min(index + 1, values.Length)];
    }
}
