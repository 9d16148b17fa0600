namespace MoeSharp.Training;

/// <summary>Chooses the next token from logits: temperature, then top-k, then top-p (Holtzman et al. 2019, arXiv:1904.09751). Equal seeds give equal choices.</summary>
internal sealed class TokenSampler
{
    private readonly SamplingOptions _options;
    private readonly Random _random;

    public TokenSampler(SamplingOptions options)
    {
        options.Validate();
        _options = options;
        _random = new Random(options.Seed);
    }

    /// <summary>Chooses a token; ties go to the lowest id.</summary>
    /// <returns>The id, and its log-probability under the model itself (temperature 1, all tokens).</returns>
    public (int Id, double LogProbability) Choose(ReadOnlySpan<float> logits)
    {
        int id = _options.Temperature == 0 ? Likeliest(logits) : Sample(logits);
        return (id, logits[id] - LogSumExp(logits));
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best]) best = i;
        }

        return best;
    }

    private int Sample(ReadOnlySpan<float> logits)
    {
        float[] values = logits.ToArray();
        int[] order = [.. Enumerable.Range(0, values.Length)];
        Array.Sort(order, (a, b) => values[b] != values[a] ? values[b].CompareTo(values[a]) : a.CompareTo(b));

        int kept = Math.Min(_options.TopK ?? order.Length, order.Length);
        double greatest = values[order[0]];
        double[] weights = [.. order.Take(kept).Select(id => Math.Exp((values[id] - greatest) / _options.Temperature))];
        if (_options.TopP is { } share) weights = Nucleus(weights, share);

        double left = _random.NextDouble() * weights.Sum();
        for (int i = 0; i < weights.Length; i++)
        {
            left -= weights[i];
            if (left < 0) return order[i];
        }

        return order[weights.Length - 1];
    }

    /// <summary>The shortest start of falling <paramref name="weights"/> that reaches a share of their sum.</summary>
    private static double[] Nucleus(double[] weights, double share)
    {
        double target = weights.Sum() * share, sum = 0;
        int count = 0;
        while (count < weights.Length && sum < target) sum += weights[count++];
        return weights[..Math.Max(count, 1)];
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double greatest = double.NegativeInfinity, sum = 0;
        foreach (float logit in logits) greatest = Math.Max(greatest, logit);
        foreach (float logit in logits) sum += Math.Exp(logit - greatest);
        return greatest + Math.Log(sum);
    }
}
