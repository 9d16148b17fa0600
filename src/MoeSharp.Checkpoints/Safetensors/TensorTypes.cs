using System.Diagnostics.CodeAnalysis;

namespace MoeSharp.Checkpoints;

/// <summary>What is known of each <see cref="TensorType"/>: its name in a file and its size.</summary>
public static class TensorTypes
{
    private static readonly string[] Names = // in the order of the enumeration
    [
        "BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
        "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64",
    ];

    private static readonly Dictionary<string, TensorType> ByName = Enum.GetValues<TensorType>().ToDictionary(FileName);

    /// <summary>All types, in order of increasing alignment.</summary>
    public static IReadOnlyList<TensorType> All { get; } = Enum.GetValues<TensorType>();

    /// <summary>The type's name in a safetensors header, such as <c>F8_E4M3</c>.</summary>
    public static string FileName(this TensorType type) => Names[(int)type];

    /// <summary>The type of a name in a safetensors header; false when there is none of that name.</summary>
    public static bool TryParse(string fileName, out TensorType type) => ByName.TryGetValue(fileName, out type);

    /// <summary>The bits of one element: 4 to 64.</summary>
    public static int BitSize(this TensorType type) => type switch
    {
        TensorType.F4 => 4,
        TensorType.F6E2M3 or TensorType.F6E3M2 => 6,
        < TensorType.I16 => 8,
        < TensorType.I32 => 16,
        < TensorType.C64 => 32,
        _ => 64,
    };

    /// <summary>The bytes of a tensor of this type; false, with the reason, when there is no such tensor.</summary>
    internal static bool TryGetByteCount(this TensorType type, IReadOnlyList<long> shape, out long bytes, [NotNullWhen(false)] out string? fault)
    {
        bytes = 0;
        fault = null;
        ulong bits = 1;
        try
        {
            // In the order of the reference (Rust, unsigned 64-bit): [0, 2^32, 2^32] has no elements, [2^32, 2^32, 0] overflows.
            foreach (long size in shape) bits = checked(bits * (ulong)size);
            bits = checked(bits * (ulong)type.BitSize());
        }
        catch (OverflowException)
        {
            fault = $"shape [{string.Join(", ", shape)}] of {type.FileName()} overflows 64 bits";
            return false;
        }

        if (bits % 8 != 0)
        {
            fault = $"shape [{string.Join(", ", shape)}] of {type.FileName()} takes {bits} bits, which is no whole number of bytes";
            return false;
        }

        bytes = (long)(bits / 8); // fits: 2^64 / 8
        return true;
    }
}
