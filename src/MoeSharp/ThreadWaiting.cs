namespace MoeSharp;

/// <summary>
/// Makes libtorch's threads wait politely. Between two parallel operations they spin for milliseconds, which is right on an idle machine;
/// on a busy one they take the processor from the very thread they wait for, and training runs several times slower.
/// </summary>
public static class ThreadWaiting
{
    private const string Variable = "GOMP_SPINCOUNT";
    private const string Brief = "10000"; // tens of microseconds: longer than the gap between operations, far shorter than a time slice

    /// <summary>
    /// Asks for it, for the rest of the process. Call it before the first use of TorchSharp: the setting is read when libtorch is loaded.
    /// A value of <c>GOMP_SPINCOUNT</c> or <c>OMP_WAIT_POLICY</c> that the user has set stays. Costs no measurable time on an idle machine.
    /// </summary>
    public static void SpinBriefly()
    {
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null) NativeVariable.SetDefault(Variable, Brief);
    }
}
