namespace MoeSharp.Checkpoints.Tests;

/// <summary>Equality of bits, but of all not-a-numbers.</summary>
internal static class BitAssert
{
    public static void Equal(float expected, float actual)
    {
        if (Bits(expected) != Bits(actual)) Assert.Fail($"Expected {expected:R} (0x{Bits(expected):x8}), got {actual:R} (0x{Bits(actual):x8}).");
    }

    public static void Equal(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            if (Bits(expected[i]) != Bits(actual[i])) Assert.Fail($"At {i}: expected {expected[i]:R} (0x{Bits(expected[i]):x8}), got {actual[i]:R} (0x{Bits(actual[i]):x8}).");
        }
    }

    private static int Bits(float value) => float.IsNaN(value) ? 0x7fc00000 : BitConverter.SingleToInt32Bits(value);
}
