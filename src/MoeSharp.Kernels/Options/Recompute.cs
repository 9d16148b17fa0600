namespace MoeSharp;

/// <summary>
/// What the backward pass of the fused experts computes again instead of keeping it from the forward pass: memory against time, with the same
/// bits of outputs and gradients. Besides what is named here the tokens, the plan and the parameters are kept, which are there anyway.
/// </summary>
/// <remarks>
/// R is the number of rows, the kept pairs of a token and an expert (T · K without drops); H is the width of an expert, rounded up to 16. Each
/// row of a matrix that is kept takes 64 bytes more.
/// </remarks>
public enum Recompute
{
    /// <summary>Nothing: 12 · R · H bytes are kept, the pre-activations of gate and up and the hidden rows between the products. With products of bfloat16 the same as <see cref="Activation"/>.</summary>
    None,

    /// <summary>The hidden rows: 8 · R · H bytes are kept, the pre-activations. Costs an activation per hidden value: too little to measure.</summary>
    Activation,

    /// <summary>Gate and up too: nothing is kept. Costs 2 · R · H · D multiply-adds beside the 9 of both passes, and no memory.</summary>
    All,
}
