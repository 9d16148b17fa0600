namespace MoeSharp.Kernels.Tests;

/// <summary>What the passes compute.</summary>
internal enum PassValue
{
    Outputs,
    Tokens,
    Weights,
    Gate,
    Up,
    Down,
    GateBias,
    UpBias,
    DownBias,
}

/// <summary>Both passes as one writes them down, pair by pair in double precision; slopes are differences.</summary>
internal static class ExpertReference
{
    /// <summary>The outputs, and the gradients [as <see cref="ExpertGradients"/> shapes them], of products that read values of a type.</summary>
    public static Dictionary<PassValue, double[]> Of(ExpertProblem problem, TileType type = TileType.Float32)
    {
        var (setup, plan) = (problem.Setup, problem.Plan);
        int D = setup.Hidden, H = setup.Intermediate;
        var values = Enum.GetValues<PassValue>().ToDictionary(value => value, value => new double[Count(setup, value)]);
        double[] input = new double[D], gate = new double[H], up = new double[H], hidden = new double[H], upstream = new double[D];
        for (int pair = 0; pair < plan.Experts.Length; pair++)
        {
            if (!plan.IsKept(pair)) continue;

            int token = pair / plan.Width, expert = plan.Experts[pair], matrix = expert * H * D;
            float weight = plan.Weights[pair], before = setup.ApplyTo == WeightTarget.Input ? weight : 1, after = setup.ApplyTo == WeightTarget.Output ? weight : 1;
            for (int d = 0; d < D; d++) input[d] = Round(before * problem.X[token * D + d], type);

            for (int h = 0; h < H; h++)
            {
                (gate[h], up[h]) = (problem.GateBias?[expert * H + h] ?? 0, problem.UpBias?[expert * H + h] ?? 0);
                for (int d = 0; d < D; d++)
                {
                    gate[h] += Round(problem.Gate[matrix + h * D + d], type) * input[d];
                    up[h] += Round(problem.Up[matrix + h * D + d], type) * input[d];
                }

                hidden[h] = Round(Activate(setup, gate[h], up[h]), type);
            }

            for (int d = 0; d < D; d++)
            {
                double z = problem.DownBias?[expert * D + d] ?? 0;
                for (int h = 0; h < H; h++) z += Round(problem.Down[matrix + d * H + h], type) * hidden[h];

                values[PassValue.Outputs][token * D + d] += after * Round(z, type);
                upstream[d] = after * problem.Dy[token * D + d];
                if (setup.ApplyTo == WeightTarget.Output) values[PassValue.Weights][pair] += problem.Dy[token * D + d] * z;
                values[PassValue.DownBias][expert * D + d] += upstream[d];
                for (int h = 0; h < H; h++) values[PassValue.Down][matrix + d * H + h] += upstream[d] * hidden[h];
            }

            for (int h = 0; h < H; h++)
            {
                double gradient = 0;
                for (int d = 0; d < D; d++) gradient += upstream[d] * problem.Down[matrix + d * H + h];

                double ofGate = gradient * Slope(g => Activate(setup, g, up[h]), gate[h]), ofUp = gradient * Slope(u => Activate(setup, gate[h], u), up[h]);
                values[PassValue.GateBias][expert * H + h] += ofGate;
                values[PassValue.UpBias][expert * H + h] += ofUp;
                for (int d = 0; d < D; d++)
                {
                    values[PassValue.Gate][matrix + h * D + d] += ofGate * input[d];
                    values[PassValue.Up][matrix + h * D + d] += ofUp * input[d];
                    double ofInput = ofGate * problem.Gate[matrix + h * D + d] + ofUp * problem.Up[matrix + h * D + d];
                    values[PassValue.Tokens][token * D + d] += before * ofInput;
                    if (setup.ApplyTo == WeightTarget.Input) values[PassValue.Weights][pair] += ofInput * problem.X[token * D + d];
                }
            }
        }

        return values;
    }

    /// <summary>How many numbers a value of the passes has.</summary>
    public static int Count(ExpertSetup setup, PassValue value) => value switch
    {
        PassValue.Outputs or PassValue.Tokens => setup.Tokens * setup.Hidden,
        PassValue.Weights => setup.Tokens * setup.Width,
        PassValue.Gate or PassValue.Up or PassValue.Down => setup.Experts * setup.Intermediate * setup.Hidden,
        PassValue.GateBias or PassValue.UpBias => setup.Experts * setup.Intermediate,
        _ => setup.Experts * setup.Hidden,
    };

    private static double Activate(ExpertSetup setup, double gate, double up)
    {
        if (setup.Limit is { } limit) (gate, up) = (Math.Min(gate, limit), Math.Clamp(up, -limit, limit));
        return setup.Activation switch
        {
            ExpertActivation.Silu => gate * Sigmoid(gate) * up,
            ExpertActivation.Gelu => gate * (1 + Erf(gate / Math.Sqrt(2))) / 2 * up,
            ExpertActivation.GeluTanh => gate * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (gate + 0.044715 * gate * gate * gate))) / 2 * up,
            ExpertActivation.Relu => Math.Max(gate, 0) * up,
            ExpertActivation.Relu2 => Math.Max(gate, 0) * Math.Max(gate, 0) * up,
            ExpertActivation.GptOss => (up + 1) * gate * Sigmoid(1.702 * gate),
            _ => throw new ArgumentOutOfRangeException(nameof(setup)),
        };
    }

    private static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));

    // 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 6) return Math.Sign(x);

        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum); n++) sum += term *= 2 * x * x / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    private static double Slope(Func<double, double> function, double at)
    {
        const double Step = 1e-6;
        return (function(at + Step) - function(at - Step)) / (2 * Step);
    }

    private static double Round(double value, TileType type) => type == TileType.Float32 ? value : Lanes.FromBFloat16(BFloat16Values.Round((float)value));
}
