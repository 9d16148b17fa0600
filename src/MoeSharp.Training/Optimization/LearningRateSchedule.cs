namespace MoeSharp.Training;

/// <summary>Linear warm-up to the full learning rate, then half a cosine down to a share of it.</summary>
/// <param name="Peak">The full learning rate.</param>
/// <param name="WarmupSteps">Steps of warm-up.</param>
/// <param name="Steps">All steps, warm-up included.</param>
/// <param name="MinimumFactor">The share of <paramref name="Peak"/> that the cosine ends at.</param>
internal sealed record LearningRateSchedule(double Peak, int WarmupSteps, int Steps, double MinimumFactor)
{
    /// <summary>The learning rate of a step, counted from 0.</summary>
    public double At(int step)
    {
        if (step < WarmupSteps) return Peak * (step + 1) / WarmupSteps;

        double done = (double)(step - WarmupSteps) / Math.Max(Steps - WarmupSteps, 1);
        return Peak * (MinimumFactor + (1 - MinimumFactor) * (1 + Math.Cos(Math.PI * Math.Min(done, 1))) / 2);
    }
}
