using System.Globalization;

namespace MoeSharp.Checkpoints;

/// <summary>Names of all types of tensors that ggml has or had, by their numbers, so that one that is not read is called what users know it by.</summary>
internal static class GgufTypeNames
{
    private static readonly string[] Names = // ggml/include/ggml.h of llama.cpp, 2026; the _4_4, _4_8 and _8_8 are no longer written
    [
        "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1",
        "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
        "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M",
        "BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",
        "NVFP4", "Q1_0", "Q2_0",
    ];

    /// <summary>The type in words: <c>23 (IQ4_XS)</c>, or the number alone where ggml has no such type.</summary>
    public static string Describe(uint type) =>
        type < Names.Length ? $"{type} ({Names[type]})" : type.ToString(CultureInfo.InvariantCulture);
}
