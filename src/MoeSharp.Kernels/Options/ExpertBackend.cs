namespace MoeSharp;

/// <summary>The implementations of expert compute. All give the same outputs and gradients; they differ in speed and in memory.</summary>
public enum ExpertBackend
{
    /// <summary>The fastest implementation that supports the device, the type and the size.</summary>
    Auto,

    /// <summary>
    /// The library's own kernels, a forward and a backward pass in one piece each: float32, bfloat16 and float16 tokens on the CPU. The sums
    /// of products are in float32 whatever the type.
    /// </summary>
    Fused,

    /// <summary>One matrix product per expert over the rows routed to it: any device, and easy to read.</summary>
    Loop,

    /// <summary>Every expert on every token, weighted by zero where it was not chosen: the oracle that the others are tested against.</summary>
    Dense,
}
