namespace MoeSharp;

/// <summary>
/// A normalisation of what the router reads (Gemma 4): x / sqrt(mean(x²) + epsilon), then · scale [D], then · D^-1/2, then the router's matrix.
/// </summary>
/// <param name="Epsilon">Added to the mean square; above 0.</param>
/// <param name="HasScale">Whether a learned scale [D] multiplies the normalised tokens. Default false.</param>
public sealed record RouterInputNorm(double Epsilon, bool HasScale = false)
{
    internal void CollectFaults(OptionFaults faults) =>
        faults.When(!(Epsilon > 0 && double.IsFinite(Epsilon)), $"InputNorm.Epsilon is {Epsilon}; set it above 0.");
}
