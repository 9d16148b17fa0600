namespace MoeSharp.Tests;

/// <summary>
/// The layer once more, in double precision and plain loops, token by token, written from the description of the options alone.
/// Parameters are flat arrays under their names in the state dict.
/// </summary>
internal sealed class NaiveMoe(MoeOptions options, IReadOnlyDictionary<string, double[]> parameters)
{
    private readonly int _width = options.HiddenSize;
    private readonly int _experts = options.Router.ExpertCount;
    private readonly RouterOptions _router = options.Router;

    /// <summary>The smallest difference between a selected and a rejected value that was not an exact tie of logits: below it, float32 may decide otherwise.</summary>
    public double Margin { get; private set; } = double.PositiveInfinity;

    /// <summary>The smallest distance of a gate or an up projection from where the derivative jumps: its clamp, or relu's zero.</summary>
    public double ClampDistance { get; private set; } = double.PositiveInfinity;

    public List<int[]> Selected { get; } = [];

    public List<double[]> Weights { get; } = [];

    /// <summary>The outputs of tokens [T, D], flat.</summary>
    public double[] Forward(double[] tokens) =>
        [.. tokens.Chunk(_width).SelectMany(token => Add(Routed(token), options.Shared is null ? new double[_width] : Shared(token)))];

    public double[] Logits(double[] token)
    {
        var logits = Product(P("gate.weight"), 0, _experts, token);
        return _router.HasLogitBias ? Add(logits, P("gate.bias")) : logits;
    }

    public static double[] Softmax(double[] z)
    {
        double top = z.Max();
        double sum = z.Sum(value => Math.Exp(value - top));
        return [.. z.Select(value => Math.Exp(value - top) / sum)];
    }

    public static double LogSumExp(double[] z) => z.Max() + Math.Log(z.Sum(value => Math.Exp(value - z.Max())));

    private double[] Routed(double[] token)
    {
        var (selected, weights) = Route(Logits(token));
        Selected.Add(selected);
        Weights.Add(weights);

        var sum = new double[_width];
        for (int k = 0; k < selected.Length; k++)
        {
            bool weighsInput = _router.ApplyTo == WeightTarget.Input;
            var output = Expert(selected[k], weighsInput ? Times(token, weights[k]) : token);
            sum = Add(sum, weighsInput ? output : Times(output, weights[k]));
        }

        return sum;
    }

    private (int[] Selected, double[] Weights) Route(double[] logits)
    {
        var scores = Score(logits);
        var choice = _router.HasCorrectionBias ? Add(scores, P("router.correction_bias")) : scores;
        int[] candidates = [.. Enumerable.Range(0, _experts)];
        if (_router.GroupLimit is { } limit)
        {
            int size = _experts / limit.Groups;
            double[] ranks = [.. choice.Chunk(size).Select(group => limit.By == GroupRanking.Max ? group.Max() : group.OrderDescending().Take(2).Sum())];
            int[] kept = Top(ranks, [.. Enumerable.Range(0, limit.Groups)], limit.Keep);
            candidates = [.. candidates.Where(e => kept.Contains(e / size))];
        }

        int[] selected = Top(choice, candidates, _router.TopK);
        var weights = _router.Weights == WeightSource.SoftmaxOfSelected
            ? Softmax([.. selected.Select(e => logits[e])])
            : [.. selected.Select(e => scores[e])];
        double divisor = _router.Renormalize switch
        {
            Renormalization.Always => weights.Sum() + _router.RenormalizeEpsilon,
            Renormalization.PNorm => Math.Pow(weights.Sum(w => Math.Pow(Math.Abs(w), _router.RenormalizePower)), 1 / _router.RenormalizePower) + _router.RenormalizeEpsilon,
            _ => 1,
        };
        var perExpert = _router.HasPerExpertScale ? P("router.per_expert_scale") : [.. Enumerable.Repeat(1.0, _experts)];
        return (selected, [.. weights.Select((w, k) => w / divisor * _router.Scale * perExpert[selected[k]])]);
    }

    private double[] Score(double[] logits) => _router.Score switch
    {
        ScoreFunction.Softmax => Softmax(logits),
        ScoreFunction.Sigmoid => [.. logits.Select(Sigmoid)],
        ScoreFunction.SqrtSoftplus => [.. logits.Select(z => Math.Sqrt(Math.Log(1 + Math.Exp(z))))],
        _ => logits,
    };

    private int[] Top(double[] values, int[] candidates, int count)
    {
        int[] order = [.. candidates.OrderByDescending(e => values[e]).ThenBy(e => e)];
        for (int i = 1; i < order.Length; i++)
        {
            double gap = values[order[i - 1]] - values[order[i]];
            if (gap != 0 && i <= count) Margin = Math.Min(Margin, gap);
        }

        return order[..count];
    }

    private double[] Expert(int e, double[] x)
    {
        int H = options.Experts.IntermediateSize;
        var gate = Product(P("experts.gate"), e * H * _width, H, x);
        var up = Product(P("experts.up"), e * H * _width, H, x);
        if (options.Experts.HasBias) (gate, up) = (Add(gate, P("experts.gate_bias")[(e * H)..]), Add(up, P("experts.up_bias")[(e * H)..]));

        var output = Product(P("experts.down"), e * _width * H, _width, Activate(gate, up, options.Experts.Limit));
        return options.Experts.HasBias ? Add(output, P("experts.down_bias")[(e * _width)..]) : output;
    }

    private double[] Shared(double[] x)
    {
        int W = options.Shared!.IntermediateSize;
        var inner = Activate(Product(P("shared.gate"), 0, W, x), Product(P("shared.up"), 0, W, x), options.Shared.Limit);
        var output = Product(P("shared.down"), 0, _width, inner);
        return options.Shared.IsGated ? Times(output, Sigmoid(Product(P("shared.router"), 0, 1, x)[0])) : output;
    }

    private double[] Activate(double[] gates, double[] ups, double? limit)
    {
        var result = new double[gates.Length];
        for (int i = 0; i < result.Length; i++)
        {
            var (g, u) = (gates[i], ups[i]);
            if (limit is { } bound)
            {
                ClampDistance = Math.Min(ClampDistance, Math.Min(Math.Abs(g - bound), Math.Abs(Math.Abs(u) - bound)));
                (g, u) = (Math.Min(g, bound), Math.Clamp(u, -bound, bound));
            }

            if (options.Experts.Activation == ExpertActivation.Relu) ClampDistance = Math.Min(ClampDistance, Math.Abs(g));

            result[i] = options.Experts.Activation switch
            {
                ExpertActivation.Silu => g * Sigmoid(g) * u,
                ExpertActivation.Gelu => g * NormalCdf(g) * u,
                ExpertActivation.Relu => Math.Max(g, 0) * u,
                ExpertActivation.Relu2 => Math.Pow(Math.Max(g, 0), 2) * u,
                ExpertActivation.GeluTanh => 0.5 * g * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (g + (0.044715 * g * g * g)))) * u,
                _ => (u + 1) * g * Sigmoid(1.702 * g),
            };
        }

        return result;
    }

    private double[] P(string name) => parameters[name];

    private static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));

    // Simpson's rule from 0: far more exact than float32 over the few units that a test sees
    private static double NormalCdf(double z)
    {
        const int Steps = 400;
        double h = z / Steps;
        double Density(double x) => Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
        double sum = Density(0) + Density(z);
        for (int i = 1; i < Steps; i++) sum += (i % 2 == 1 ? 4 : 2) * Density(i * h);
        return 0.5 + (sum * h / 3);
    }

    private static double[] Product(double[] matrix, int start, int rows, double[] x)
    {
        var result = new double[rows];
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < x.Length; i++) result[r] += matrix[start + (r * x.Length) + i] * x[i];
        }

        return result;
    }

    private static double[] Add(double[] a, double[] b) => [.. a.Select((value, i) => value + b[i])];

    private static double[] Times(double[] a, double factor) => [.. a.Select(value => value * factor)];
}
