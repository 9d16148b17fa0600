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

    /// <summary>
    /// libtorch's grouped matrix product, all experts in one call, on the CPU and on CUDA. Float64, and sizes whose rows are no multiple of
    /// 16 bytes (4 values of float32, 8 of bfloat16), are computed as <see cref="Loop"/>.
    /// </summary>
    Grouped,

    /// <summary>One matrix product per expert over the rows routed to it: any device, and easy to read.</summary>
    Loop,

    /// <summary>Every expert on every token, weighted by zero where it was not chosen: the oracle that the others are tested against.</summary>
    Dense,
}
