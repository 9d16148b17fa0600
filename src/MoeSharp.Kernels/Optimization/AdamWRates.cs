namespace MoeSharp;

/// <summary>The constants of AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101) at one step.</summary>
internal sealed record AdamWRates
{
    /// <summary>The learning rate; 0 or more.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The decoupled decay of the weights; 0 or more, default 0.</summary>
    public double WeightDecay { get; init; }

    /// <summary>The decay of the first moment; 0 to below 1, default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>The decay of the second moment; 0 to below 1, default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Added to the root of the second moment; 0 or more (with 0, weights that never had a gradient become 0 / 0), default 1e-8.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>What the kernel multiplies with in step <paramref name="number"/>, counted from 1; computed in double, then rounded to float32.</summary>
    /// <exception cref="ArgumentException">One message that lists all faults of the rates.</exception>
    public AdamWStep At(long number)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(number);
        if (!IsValid) ThrowFaults();

        double correction1 = 1 - Math.Pow(Beta1, number), correction2 = 1 - Math.Pow(Beta2, number);
        return new AdamWStep
        {
            Keep = (float)(1 - LearningRate * WeightDecay),
            Gain1 = (float)(1 - Beta1),
            Beta2 = (float)Beta2,
            Gain2 = (float)(1 - Beta2),
            Root = (float)Math.Sqrt(correction2),
            Epsilon = (float)Epsilon,
            Move = (float)(-LearningRate / correction1),
        };
    }

    // first, because making messages of five numbers takes as long as a small parameter's step
    private bool IsValid =>
        IsRate(LearningRate) && IsRate(WeightDecay) && IsRate(Epsilon) && Beta1 is >= 0 and < 1 && Beta2 is >= 0 and < 1;

    private static bool IsRate(double value) => value >= 0 && double.IsFinite(value);

    private void ThrowFaults()
    {
        var faults = new OptionFaults(nameof(AdamWRates));
        faults.When(!IsRate(LearningRate), $"LearningRate is {LearningRate}; set it to 0 or more.");
        faults.When(!IsRate(WeightDecay), $"WeightDecay is {WeightDecay}; set it to 0 or more.");
        faults.When(!(Beta1 is >= 0 and < 1), $"Beta1 is {Beta1}; set it to 0 or more and below 1.");
        faults.When(!(Beta2 is >= 0 and < 1), $"Beta2 is {Beta2}; set it to 0 or more and below 1.");
        faults.When(!IsRate(Epsilon), $"Epsilon is {Epsilon}; set it to 0 or more.");
        faults.ThrowIfAny();
    }
}

/// <summary>The float32 constants of one step: all that is kept of a step that is taken later.</summary>
internal readonly record struct AdamWStep
{
    /// <summary>What the decay leaves of a weight, 1 - rate · decay.</summary>
    public required float Keep { get; init; }

    /// <summary>1 - beta1.</summary>
    public required float Gain1 { get; init; }

    /// <summary>beta2.</summary>
    public required float Beta2 { get; init; }

    /// <summary>1 - beta2.</summary>
    public required float Gain2 { get; init; }

    /// <summary>The root of the second moment's bias correction, √(1 - beta2^t).</summary>
    public required float Root { get; init; }

    /// <summary>epsilon.</summary>
    public required float Epsilon { get; init; }

    /// <summary>Minus the rate over the first moment's bias correction, -rate / (1 - beta1^t).</summary>
    public required float Move { get; init; }
}
