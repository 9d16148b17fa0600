namespace MoeSharp;

/// <summary>What to take: steps one after another on the same memory. A gradient belongs to the last of them, those before have one of zeros.</summary>
internal readonly record struct AdamWWork(AdamWArrays Arrays, ReadOnlyMemory<AdamWStep> Steps)
{
    // a moment that loses less than 1/256 in a step, half of a bfloat16's last place, may never fall: refused from twice that on
    private const float LeastGain = 1f / 128;

    /// <summary>The largest beta that a bfloat16 moment can follow.</summary>
    public const double LargestBFloat16Beta = 1 - (double)LeastGain;

    /// <summary>Checks the memory, and that bfloat16 moments can follow the gradient.</summary>
    /// <exception cref="ArgumentException">One message for the first fault.</exception>
    public void Check()
    {
        Arrays.Check();
        if (!Arrays.HasBFloat16Moments) return;

        foreach (var step in Steps.Span)
        {
            CheckGain("Beta1", step.Gain1);
            CheckGain("Beta2", step.Gain2);
        }
    }

    private static void CheckGain(string name, float gain)
    {
        if (gain < LeastGain)
            throw new ArgumentException($"{name} is {1 - gain}, which decays by less than a bfloat16 moment can show. Set it to {LargestBFloat16Beta} or less, or keep float32 moments.");
    }
}
