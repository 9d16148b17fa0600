namespace MoeSharp;

/// <summary>Where a <see cref="BackwardPass"/> puts its gradients, float32 but for those of matrices, which have their type; null for those that nobody needs, which then cost nothing.</summary>
internal unsafe struct ExpertGradients
{
    /// <summary>Of the tokens [T, D].</summary>
    public float* Tokens;

    /// <summary>Of the routing weights [T, K].</summary>
    public float* Weights;

    /// <summary>Of the gate projections [E, H, D].</summary>
    public void* Gate;

    /// <summary>Of the up projections [E, H, D]; null when <see cref="Gate"/> is.</summary>
    public void* Up;

    /// <summary>Of the down projections [E, D, H].</summary>
    public void* Down;

    /// <summary>Of the gates' biases [E, H].</summary>
    public float* GateBias;

    /// <summary>Of the up projections' biases [E, H].</summary>
    public float* UpBias;

    /// <summary>Of the down projections' biases [E, D].</summary>
    public float* DownBias;
}
