namespace MoeSharp.Kernels.Tests;

/// <summary>Random tokens and the parts of a gate, with the logits as one writes them down, in double precision.</summary>
internal sealed record GateProblem(int Tokens, int Hidden, int Experts, bool HasBias, RouterInputNorm? Norm, int Seed)
{
    public float[] X { get; } = RoutingTestKit.Draw(Seed, Tokens * Hidden, 3);

    /// <summary>[E, D], of values that bfloat16 has.</summary>
    public float[] Weight { get; } = Narrowed(RoutingTestKit.Draw(Seed + 1, Experts * Hidden, 2));

    public float[] Bias { get; } = HasBias ? RoutingTestKit.Draw(Seed + 2, Experts) : [];

    public float[] Scale { get; } = Norm is { HasScale: true } ? RoutingTestKit.Draw(Seed + 3, Hidden) : [];

    public MoeOptions Options => new()
    {
        HiddenSize = Hidden,
        Router = new() { ExpertCount = Experts, TopK = 1, HasLogitBias = HasBias, InputNorm = Norm },
        Experts = new() { IntermediateSize = 1 },
    };

    public GateKernel Gate()
    {
        var gate = new GateKernel(Options);
        gate.LoadWeight(Weight);
        if (HasBias) gate.LoadBias(Bias);
        if (Scale.Length > 0) gate.LoadScale(Scale);
        return gate;
    }

    public GatePanels Panels()
    {
        var panels = new GatePanels(Options);
        unsafe
        {
            fixed (float* weight = Weight) panels.Pack(weight);
        }

        if (HasBias) panels.PackBias(Bias);
        if (Scale.Length > 0) panels.TakeScale(Scale);
        return panels;
    }

    /// <summary>The logits [T, E], and for each the sum of the sizes of its terms: what its rounding is measured by.</summary>
    public (double Logit, double Size)[] Expected() => [.. X.Chunk(Hidden).SelectMany(Logits)];

    private IEnumerable<(double Logit, double Size)> Logits(float[] token)
    {
        double[] input = [.. token.Select(value => (double)value)];
        if (Norm is not null)
        {
            double root = Math.Sqrt(input.Select(value => value * value).Sum() / Hidden + Norm.Epsilon);
            for (int d = 0; d < Hidden; d++) input[d] = input[d] / root * (Scale.Length > 0 ? Scale[d] : 1) / Math.Sqrt(Hidden);
        }

        for (int e = 0; e < Experts; e++)
        {
            double logit = HasBias ? Bias[e] : 0, size = Math.Abs(logit);
            for (int d = 0; d < Hidden; d++)
            {
                double term = input[d] * Weight[e * Hidden + d];
                (logit, size) = (logit + term, size + Math.Abs(term));
            }

            yield return (logit, size);
        }
    }

    private static float[] Narrowed(float[] values)
    {
        Lanes.Narrow(values);
        return values;
    }
}
