namespace MoeSharp;

/// <summary>16 columns of the hidden width on the way back through an activation, of some rows.</summary>
internal unsafe struct TurnGradients
{
    /// <summary>The number of rows.</summary>
    public int Rows;

    /// <summary>The pre-activations [rows][32], 16 of the gate and the same of up, with <see cref="Stride"/> values between rows.</summary>
    public float* PreActivations;

    /// <summary>Values from a row of pre-activations to the next.</summary>
    public nint Stride;

    /// <summary>The hidden columns, where they were kept, with <see cref="HiddenStride"/> values between rows; null to compute them again.</summary>
    public float* Hidden;

    /// <summary>Values from a kept hidden row to the next.</summary>
    public nint HiddenStride;

    /// <summary>The gradients [rows][32] of the hidden columns before weighting, of which these are 16.</summary>
    public float* Upstream;

    /// <summary>The weight of each row; null for one.</summary>
    public float* Weights;

    /// <summary>Receives the gradients of the pre-activations, in their layout with <see cref="GradientStride"/> values between rows; may be their memory.</summary>
    public float* Gradients;

    /// <summary>Values from a row of gradients to the next.</summary>
    public nint GradientStride;

    /// <summary>Σ upstream · hidden of each row, to which these columns are added.</summary>
    public float* Products;

    /// <summary>Receives the hidden columns times the weight, with <see cref="WeightedStride"/> values between rows.</summary>
    public float* Weighted;

    /// <summary>Values from a weighted row to the next.</summary>
    public nint WeightedStride;
}
