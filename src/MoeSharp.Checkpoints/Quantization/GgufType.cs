using System.Diagnostics.CodeAnalysis;

namespace MoeSharp.Checkpoints;

/// <summary>Types of numbers in GGUF files, by their numbers there.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "The format's own names.")]
public enum GgufType
{
    /// <summary>Half precision.</summary>
    F16 = 1,

    /// <summary>4 bits in blocks of 32.</summary>
    Q4_0 = 2,

    /// <summary>4 bits and a minimum in blocks of 32.</summary>
    Q4_1 = 3,

    /// <summary>5 bits in blocks of 32.</summary>
    Q5_0 = 6,

    /// <summary>5 bits and a minimum in blocks of 32.</summary>
    Q5_1 = 7,

    /// <summary>8 bits in blocks of 32.</summary>
    Q8_0 = 8,

    /// <summary>2 bits in blocks of 256.</summary>
    Q2_K = 10,

    /// <summary>3 bits in blocks of 256.</summary>
    Q3_K = 11,

    /// <summary>4 bits in blocks of 256.</summary>
    Q4_K = 12,

    /// <summary>5 bits in blocks of 256.</summary>
    Q5_K = 13,

    /// <summary>6 bits in blocks of 256.</summary>
    Q6_K = 14,

    /// <summary>bfloat16.</summary>
    BF16 = 30,

    /// <summary>E2M1 in blocks of 32.</summary>
    MXFP4 = 39,
}
