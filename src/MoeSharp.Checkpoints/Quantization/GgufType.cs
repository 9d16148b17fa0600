using System.Diagnostics.CodeAnalysis;

namespace MoeSharp.Checkpoints;

/// <summary>The types of tensors in GGUF files that are read, by their numbers there. All are weights that can be decoded, but the integers and <see cref="F64"/>.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "The format's own names.")]
public enum GgufType
{
    /// <summary>Single precision.</summary>
    F32 = 0,

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

    /// <summary>Signed 8-bit integers.</summary>
    I8 = 24,

    /// <summary>Signed 16-bit integers.</summary>
    I16 = 25,

    /// <summary>Signed 32-bit integers.</summary>
    I32 = 26,

    /// <summary>Signed 64-bit integers.</summary>
    I64 = 27,

    /// <summary>Double precision.</summary>
    F64 = 28,

    /// <summary>bfloat16.</summary>
    BF16 = 30,

    /// <summary>E2M1 in blocks of 32.</summary>
    MXFP4 = 39,
}
