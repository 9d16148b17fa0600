namespace MoeSharp.Kernels.Tests;

/// <summary>Sizes and options of an <see cref="ExpertProblem"/>.</summary>
internal sealed record ExpertSetup
{
    public int Tokens { get; init; } = 9;

    public int Hidden { get; init; } = 33;

    public int Intermediate { get; init; } = 17;

    public int Experts { get; init; } = 5;

    /// <summary>The slots per token.</summary>
    public int Width { get; init; } = 2;

    public ExpertActivation Activation { get; init; }

    public double? Limit { get; init; }

    public bool HasBias { get; init; } = true;

    public WeightTarget ApplyTo { get; init; }

    public PairPattern Pairs { get; init; }

    public int Seed { get; init; } = 1;
}

/// <summary>Where the pairs of tokens and slots go.</summary>
internal enum PairPattern
{
    /// <summary>Each token to different experts.</summary>
    All,

    /// <summary>Some slots free, and some pairs dropped by a capacity.</summary>
    WithGaps,

    /// <summary>All to the last expert but one.</summary>
    OneExpert,
}

/// <summary>Random tokens, their routing and the experts that they go to: what both passes run on.</summary>
internal sealed class ExpertProblem
{
    public ExpertProblem(ExpertSetup setup)
    {
        var random = new Random(setup.Seed);
        int T = setup.Tokens, E = setup.Experts, D = setup.Hidden, H = setup.Intermediate;
        Setup = setup;
        X = Draw(T * D, 1);
        Dy = Draw(T * D, 1);
        Gate = Draw(E * H * D, 3 / MathF.Sqrt(D));      // pre-activations of about one: both sides of clamps and kinks
        Up = Draw(E * H * D, 3 / MathF.Sqrt(D));
        Down = Draw(E * D * H, 2 / MathF.Sqrt(H));
        if (setup.HasBias) (GateBias, UpBias, DownBias) = (Draw(E * H, 1), Draw(E * H, 1), Draw(E * D, 1));
        Plan = Route(setup, random);

        float[] Draw(int count, float range) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2 - 1) * range)];
    }

    private ExpertProblem(ExpertProblem whole, int first, int count)
    {
        int D = whole.Setup.Hidden, width = whole.Setup.Width;
        Setup = whole.Setup with { Tokens = count };
        (X, Dy) = (whole.X[(first * D)..((first + count) * D)], whole.Dy[(first * D)..((first + count) * D)]);
        (Gate, Up, Down, GateBias, UpBias, DownBias) = (whole.Gate, whole.Up, whole.Down, whole.GateBias, whole.UpBias, whole.DownBias);
        var pairs = (first * width)..((first + count) * width);
        Plan = PlanOf(Setup, whole.Plan.Experts[pairs], whole.Plan.Weights[pairs], whole.Plan.Slots?[pairs]);
    }

    public ExpertSetup Setup { get; }

    /// <summary>The tokens [T, D].</summary>
    public float[] X { get; }

    /// <summary>The gradients of the outputs [T, D].</summary>
    public float[] Dy { get; }

    public RoutingPlan Plan { get; }

    public float[] Gate { get; }

    public float[] Up { get; }

    public float[] Down { get; }

    public float[]? GateBias { get; }

    public float[]? UpBias { get; }

    public float[]? DownBias { get; }

    /// <summary>Some of the tokens, with their routing, and the same experts.</summary>
    public ExpertProblem Part(int first, int count) => new(this, first, count);

    private static RoutingPlan Route(ExpertSetup setup, Random random)
    {
        int pairs = setup.Tokens * setup.Width;
        int[] experts = new int[pairs], all = [.. Enumerable.Range(0, setup.Experts)];
        for (int token = 0; token < setup.Tokens; token++)
        {
            random.Shuffle(all);
            all.AsSpan(0, setup.Width).CopyTo(experts.AsSpan(token * setup.Width));
        }

        if (setup.Pairs == PairPattern.OneExpert) Array.Fill(experts, Math.Max(0, setup.Experts - 2));
        float[] weights = [.. experts.Select(_ => random.Next(8) == 0 ? 1 : random.NextSingle())];
        return PlanOf(setup, experts, weights, setup.Pairs == PairPattern.WithGaps ? Gaps(experts, weights, random) : null);
    }

    private static int[] Gaps(int[] experts, float[] weights, Random random)
    {
        int[] slots = new int[experts.Length];
        for (int pair = 0; pair < slots.Length; pair++)
        {
            bool isFree = random.Next(5) == 0;
            if (isFree) (experts[pair], weights[pair]) = (-1, 0);
            slots[pair] = isFree || random.Next(5) == 0 ? -1 : pair;
        }

        return slots;
    }

    private static RoutingPlan PlanOf(ExpertSetup setup, int[] experts, float[] weights, int[]? slots)
    {
        var plan = new RoutingPlan(experts, setup.Tokens, setup.Width, setup.Experts) { Slots = slots };
        weights.CopyTo(plan.Weights, 0);
        ExpertOrder.Fill(plan);
        return plan;
    }
}
