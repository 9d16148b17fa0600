namespace MoeSharp.Checkpoints;

/// <summary>
/// The element types of a safetensors file. Their order is the format's order of increasing alignment, which decides how a file is
/// laid out.
/// </summary>
public enum TensorType
{
    /// <summary>BOOL: one byte, 0 or 1.</summary>
    Bool,

    /// <summary>F4: 4-bit floats (E2M1), two to a byte.</summary>
    F4,

    /// <summary>F6_E2M3: 6-bit floats, four in three bytes.</summary>
    F6E2M3,

    /// <summary>F6_E3M2: 6-bit floats, four in three bytes.</summary>
    F6E3M2,

    /// <summary>U8: unsigned bytes.</summary>
    U8,

    /// <summary>I8: signed bytes.</summary>
    I8,

    /// <summary>F8_E5M2: 8-bit floats with five bits of exponent.</summary>
    F8E5M2,

    /// <summary>F8_E4M3: 8-bit floats with four bits of exponent, without infinities.</summary>
    F8E4M3,

    /// <summary>F8_E8M0: powers of two, the scales of MX formats.</summary>
    F8E8M0,

    /// <summary>F8_E4M3FNUZ: the AMD variant of E4M3, without a negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>F8_E5M2FNUZ: the AMD variant of E5M2, without a negative zero.</summary>
    F8E5M2Fnuz,

    /// <summary>I16: signed 16-bit integers.</summary>
    I16,

    /// <summary>U16: unsigned 16-bit integers.</summary>
    U16,

    /// <summary>F16: IEEE half precision.</summary>
    F16,

    /// <summary>BF16: the upper half of a 32-bit float.</summary>
    BF16,

    /// <summary>I32: signed 32-bit integers.</summary>
    I32,

    /// <summary>U32: unsigned 32-bit integers.</summary>
    U32,

    /// <summary>F32: IEEE single precision.</summary>
    F32,

    /// <summary>C64: complex numbers of two F32.</summary>
    C64,

    /// <summary>F64: IEEE double precision.</summary>
    F64,

    /// <summary>I64: signed 64-bit integers.</summary>
    I64,

    /// <summary>U64: unsigned 64-bit integers.</summary>
    U64,
}
