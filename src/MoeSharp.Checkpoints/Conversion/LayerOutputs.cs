namespace MoeSharp.Checkpoints;

/// <summary>
/// MoE layers of checkpoints on a few tokens, with one expert in memory at a time: routed by the layer's router, each expert that was chosen is
/// decoded, run, and replaced by the next.
/// </summary>
/// <param name="onExpert">Called after each expert, whose weights are no longer read.</param>
internal sealed class LayerOutputs(Action onExpert) : IDisposable
{
    private readonly Dictionary<MoeOptions, SingleExpert> _experts = [];

    /// <summary>The routing of tokens, and the layer's outputs.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="tokens">The tokens [T, D].</param>
    /// <param name="ids">Their ids [T].</param>
    /// <param name="experts">Experts to take instead of those that the router selects; null to select.</param>
    public (RoutingPlan Selected, float[] Outputs) Compute(StoredMoeLayer layer, float[] tokens, long[] ids, RoutingPlan? experts)
    {
        var options = layer.Options;
        float[] logits = Logits(layer, tokens, ids.Length), outputs = new float[tokens.Length];
        var selected = Route(layer, logits, ids, []);
        var plan = experts is null ? selected : Route(layer, logits, ids, [.. experts.Experts.Select(expert => (long)expert)]);

        var expert = ExpertOf(options.HiddenSize, options.Experts);
        foreach (int index in plan.Experts.Where(index => index >= 0).Distinct().Order())
        {
            expert.Load(layer.Expert(index));
            AddExpert(expert, index, plan, options, tokens, outputs);
            onExpert();
        }

        if (layer.Shared is { } shared) AddShared(layer, shared, options.Shared!, tokens, outputs);     // a layer with one has its options
        return (selected, outputs);
    }

    public void Dispose()
    {
        foreach (var expert in _experts.Values) expert.Dispose();
    }

    // room for an expert is made once: layers of a model are alike
    private SingleExpert ExpertOf(int hiddenSize, ExpertOptions options)
    {
        var alone = new MoeOptions { HiddenSize = hiddenSize, Experts = options, Router = new() { ExpertCount = 1, TopK = 1 } };      // a softmax over one is 1
        if (!_experts.TryGetValue(alone, out var expert)) _experts.Add(alone, expert = new SingleExpert(alone));
        return expert;
    }

    private static float[] Logits(StoredMoeLayer layer, float[] tokens, int count)
    {
        var (options, router) = (layer.Options, layer.Router);
        float[] logits = new float[count * options.Router.ExpertCount];
        using var gate = new GateKernel(options);
        gate.LoadWeight(Decoded(router.Weight));
        if (router.LogitBias is { } bias) gate.LoadBias([.. bias]);
        if (router.InputScale is { } scale) gate.LoadScale([.. scale]);
        gate.Forward(tokens, logits);
        return logits;
    }

    private static RoutingPlan Route(StoredMoeLayer layer, float[] logits, long[] ids, long[] experts) => new RoutingKernel(layer.Options).Route(new RoutingInput
    {
        Logits = logits,
        Sequences = 1,
        SequenceLength = ids.Length,
        CorrectionBias = layer.Router.CorrectionBias is { } bias ? [.. bias] : default(ReadOnlySpan<float>),
        PerExpertScale = layer.Router.PerExpertScale is { } scale ? [.. scale] : default(ReadOnlySpan<float>),
        QuantileBias = layer.Router.QuantileBias is { } quantile ? [.. quantile] : default(ReadOnlySpan<float>),
        TokenIds = layer.Router.TokenTable is null ? default : ids,
        Table = layer.Router.TokenTable is { } table ? [.. table] : default(ReadOnlySpan<long>),
        Experts = experts,
    });

    /// <summary>Adds what an expert makes of its tokens, weighted before or after.</summary>
    private static void AddExpert(SingleExpert expert, int index, RoutingPlan plan, MoeOptions options, float[] tokens, float[] outputs)
    {
        int width = options.HiddenSize;
        int[] pairs = [.. Enumerable.Range(0, plan.Experts.Length).Where(pair => plan.Experts[pair] == index)];
        bool isInput = options.Router.ApplyTo == WeightTarget.Input;
        float[] rows = new float[pairs.Length * width];
        foreach (var (row, pair) in pairs.Index()) Add(tokens, pair / plan.Width, isInput ? plan.Weights[pair] : 1, rows, row, width);

        float[] made = expert.Compute(rows);
        foreach (var (row, pair) in pairs.Index()) Add(made, row, isInput ? 1 : plan.Weights[pair], outputs, pair / plan.Width, width);
    }

    private void AddShared(StoredMoeLayer layer, StoredMlp shared, SharedExpertOptions options, float[] tokens, float[] outputs)
    {
        int width = layer.Options.HiddenSize;
        var expert = ExpertOf(width, layer.Options.Experts with { IntermediateSize = options.IntermediateSize, HasBias = false, Limit = options.Limit });
        expert.Load(shared);
        float[] made = expert.Compute(tokens), row = layer.SharedRouter is { } router ? Decoded(router) : [];
        for (int token = 0; token < tokens.Length / width; token++) Add(made, token, row.Length > 0 ? Sigmoid(tokens.AsSpan(token * width, width), row) : 1, outputs, token, width);
    }

    private static float Sigmoid(ReadOnlySpan<float> token, ReadOnlySpan<float> row)
    {
        double sum = 0;
        for (int i = 0; i < row.Length; i++) sum += (double)token[i] * row[i];
        return (float)(1 / (1 + Math.Exp(-sum)));
    }

    private static void Add(float[] from, int row, float factor, float[] to, int toRow, int width)
    {
        for (int i = 0; i < width; i++) to[toRow * width + i] += factor * from[row * width + i];
    }

    private static float[] Decoded(WeightMatrix matrix)
    {
        float[] values = new float[matrix.Rows * matrix.Columns];
        matrix.Decode(0, matrix.Rows, values);
        return values;
    }

    /// <summary>One gated MLP, loaded again and again.</summary>
    private sealed class SingleExpert : IDisposable
    {
        private readonly ExpertLayer _layer;
        private readonly RoutingKernel _all;
        private readonly float[] _gate, _up, _down;

        public SingleExpert(MoeOptions alone)
        {
            (_layer, _all) = (new(alone), new(alone));
            int size = alone.HiddenSize * alone.Experts.IntermediateSize;
            (_gate, _up, _down) = (new float[size], new float[size], new float[size]);
        }

        public void Load(StoredMlp mlp)
        {
            mlp.Gate.Decode(0, mlp.Gate.Rows, _gate);
            mlp.Up.Decode(0, mlp.Up.Rows, _up);
            mlp.Down.Decode(0, mlp.Down.Rows, _down);
            _layer.Load(0, _gate, _up, _down);
            if (mlp.Biases is { } biases) _layer.LoadBias(0, [.. biases.Gate], [.. biases.Up], [.. biases.Down]);
        }

        public float[] Compute(float[] rows)
        {
            float[] outputs = new float[rows.Length];
            int count = rows.Length / _layer.Options.HiddenSize;
            _layer.Forward(rows, _all.Route(new RoutingInput { Logits = new float[count], Sequences = 1, SequenceLength = count }), outputs);
            return outputs;
        }

        public void Dispose() => _layer.Dispose();
    }
}
