namespace MoeSharp.Checkpoints;

/// <summary>Types of metadata in GGUF files, by their numbers there.</summary>
public enum GgufValueType
{
    /// <summary>An unsigned 8-bit integer.</summary>
    U8 = 0,

    /// <summary>A signed 8-bit integer.</summary>
    I8 = 1,

    /// <summary>An unsigned 16-bit integer.</summary>
    U16 = 2,

    /// <summary>A signed 16-bit integer.</summary>
    I16 = 3,

    /// <summary>An unsigned 32-bit integer.</summary>
    U32 = 4,

    /// <summary>A signed 32-bit integer.</summary>
    I32 = 5,

    /// <summary>IEEE single precision.</summary>
    F32 = 6,

    /// <summary>True or false.</summary>
    Flag = 7,

    /// <summary>UTF-8.</summary>
    Text = 8,

    /// <summary>Values of one type.</summary>
    Array = 9,

    /// <summary>An unsigned 64-bit integer.</summary>
    U64 = 10,

    /// <summary>A signed 64-bit integer.</summary>
    I64 = 11,

    /// <summary>IEEE double precision.</summary>
    F64 = 12,
}
