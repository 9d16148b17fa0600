namespace MoeSharp;

/// <summary>The type in which an <see cref="ExpertLayer"/> keeps weights and multiplies them. Products are summed in float32 either way.</summary>
public enum ExpertPrecision
{
    /// <summary>Float32, four bytes a weight.</summary>
    Float32,

    /// <summary>bfloat16, two bytes a weight. What is multiplied with them, tokens and hidden rows, is rounded to bfloat16 too, and so is what an expert gives before the weighted sum, which is float32.</summary>
    BFloat16,
}
