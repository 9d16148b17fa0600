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
        var ranking = new LikeliestFirst(logits);
        double[] weights = Weights(logits, logits[ranking[0]]);
        var (count, sum) = _options.TopK is { } most ? Start(ranking, weights, Math.Min(most, weights.Length), double.PositiveInfinity) : (weights.Length, weights.Sum());
        if (_options.TopP is { } share) (count, sum) = Start(ranking, weights, count, sum * share);

        double left = _random.NextDouble() * sum;
        for (int rank = 0; rank < count - 1; rank++)
        {
            left -= weights[ranking[rank]];
            if (left < 0) return ranking[rank];
        }

        return ranking[count - 1];
    }

    private double[] Weights(ReadOnlySpan<float> logits, double greatest)
    {
        double[] weights = new double[logits.Length];
        for (int id = 0; id < weights.Length; id++) weights[id] = Math.Exp((logits[id] - greatest) / _options.Temperature);
        return weights;
    }

    /// <summary>The shortest start of the ranking whose weights reach <paramref name="target"/>, but one token at least and no more than <paramref name="most"/>; and the sum of its weights.</summary>
    private static (int Count, double Sum) Start(LikeliestFirst ranking, double[] weights, int most, double target)
    {
        int count = 1;
        double sum = weights[ranking[0]];
        while (count < most && sum < target) sum += weights[ranking[count++]];
        return (count, sum);
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double greatest = double.NegativeInfinity, sum = 0;
        foreach (float logit in logits) greatest = Math.Max(greatest, logit);
        foreach (float logit in logits) sum += Math.Exp(logit - greatest);
        return greatest + Math.Log(sum);
    }

    /// <summary>Token ids by falling logit, and rising where logits are equal. Only those that are asked for are sorted: all of a large vocabulary would take longer than a small model.</summary>
    private sealed class LikeliestFirst
    {
        private readonly PriorityQueue<int, long> _rest;
        private readonly List<int> _sorted = [];

        public LikeliestFirst(ReadOnlySpan<float> logits)
        {
            var ids = new (int, long)[logits.Length];
            for (int id = 0; id < ids.Length; id++) ids[id] = (id, ((long)~RowTopK.Key(logits[id]) << 32) | (uint)id);
            _rest = new(ids);
        }

        public int this[int rank]
        {
            get
            {
                while (_sorted.Count <= rank) _sorted.Add(_rest.Dequeue());
                return _sorted[rank];
            }
        }
    }
}
