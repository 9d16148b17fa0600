namespace MoeSharp.Checkpoints.Tests;

/// <summary>Numbers and bytes of a block of each type, as the format's own documents give them.</summary>
internal static class GgufSizes
{
    public static (int Length, int ByteCount) Of(GgufType type) => type switch
    {
        GgufType.I8 => (1, 1),
        GgufType.F16 or GgufType.BF16 or GgufType.I16 => (1, 2),
        GgufType.F32 or GgufType.I32 => (1, 4),
        GgufType.F64 or GgufType.I64 => (1, 8),
        GgufType.Q4_0 => (32, 18),
        GgufType.Q4_1 => (32, 20),
        GgufType.Q5_0 => (32, 22),
        GgufType.Q5_1 => (32, 24),
        GgufType.Q8_0 => (32, 34),
        GgufType.Q2_K => (256, 84),
        GgufType.Q3_K => (256, 110),
        GgufType.Q4_K => (256, 144),
        GgufType.Q5_K => (256, 176),
        GgufType.Q6_K => (256, 210),
        _ => (32, 17), // MXFP4
    };
}
