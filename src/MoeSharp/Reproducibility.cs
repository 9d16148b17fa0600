namespace MoeSharp;

/// <summary>
/// Makes libtorch's matrix products repeat their bits. On x86 they come from Intel MKL, which picks its code by the address of the
/// operands and by the number of threads, so that two runs of one program differ in the last bits; it can be asked not to.
/// </summary>
public static class Reproducibility
{
    private const string Variable = "MKL_CBWR";
    private const string SameBits = "AUTO,STRICT"; // the fastest code of this processor, one and the same for all addresses and thread counts

    /// <summary>
    /// Asks for it, for the rest of the process. Call it at the start: MKL reads the setting at the first product and never again.
    /// A value of <c>MKL_CBWR</c> that the user has set stays. Costs no measurable time.
    /// </summary>
    public static void Enable() => NativeVariable.SetDefault(Variable, SameBits);
}
