namespace MoeSharp;

/// <summary>What a forward pass leaves for the way back, in one piece of memory; null for what is computed again.</summary>
internal readonly unsafe struct KeptRows
{
    /// <summary>What <paramref name="recompute"/> keeps of some rows.</summary>
    /// <param name="start">Room for <see cref="Count"/> values, aligned to 64 bytes; null for nothing.</param>
    /// <param name="shape">The sizes of the experts.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="recompute">What is not kept.</param>
    public KeptRows(float* start, ExpertShape shape, int rows, Recompute recompute)
    {
        if (start is null || recompute == Recompute.All) return;

        PreActivations = start;
        if (recompute == Recompute.None) Hidden = (byte*)(start + (long)rows * shape.KeptStride);
    }

    /// <summary>[R][H / 16][16 gate + 16 up], with <see cref="ExpertShape.KeptStride"/> values between rows.</summary>
    public float* PreActivations { get; }

    /// <summary>[R][H], with <see cref="ExpertShape.HiddenStride"/> bytes between rows.</summary>
    public byte* Hidden { get; }

    /// <summary>How many float32 values are kept of <paramref name="rows"/> rows.</summary>
    public static long Count(ExpertShape shape, int rows, Recompute recompute) => rows * recompute switch
    {
        Recompute.None => shape.KeptStride + (long)shape.HiddenStride / sizeof(float),
        Recompute.Activation => shape.KeptStride,
        _ => 0,
    };
}
