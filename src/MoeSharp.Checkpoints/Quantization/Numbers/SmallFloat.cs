namespace MoeSharp.Checkpoints;

/// <summary>
/// Floats of 4 to 8 bits and what they are in float32, exactly: <c>(-1)^s · 2^(e - bias) · (1 + m / 2^M)</c>, and
/// <c>(-1)^s · 2^(1 - bias) · m / 2^M</c> where e = 0. Formats: OCP 8-bit Floating Point 1.0 (E4M3, E5M2), OCP Microscaling 1.0 (E8M0,
/// E2M1, E2M3, E3M2); the FNUZ variants are AMD's: a bias higher by one, one NaN in the place of negative zero, no infinities.
/// </summary>
public static class SmallFloat
{
    private const int E4M3Largest = 0x7e, E4M3NaN = 0x7f, E5M2Infinity = 0x7c, E5M2NaN = 0x7f, FnuzNaN = 0x80;

    private static readonly float[] E4M3 = Table(256, code => (code & 0x7f) == E4M3NaN ? float.NaN : Decode(code, 4, 3, bias: 7));
    private static readonly float[] E5M2 = Table(256, code => (code & 0x7f) > E5M2Infinity ? float.NaN : (code & 0x7f) < E5M2Infinity ? Decode(code, 5, 2, bias: 15) : code < 0x80 ? float.PositiveInfinity : float.NegativeInfinity);
    private static readonly float[] E4M3Fnuz = Table(256, code => code == FnuzNaN ? float.NaN : Decode(code, 4, 3, bias: 8));
    private static readonly float[] E5M2Fnuz = Table(256, code => code == FnuzNaN ? float.NaN : Decode(code, 5, 2, bias: 16));
    private static readonly float[] E8M0 = Table(256, code => code == 0xff ? float.NaN : MathF.ScaleB(1, code - 127));
    private static readonly float[] E2M1 = Table(16, code => Decode(code, 2, 1, bias: 1));
    private static readonly float[] E2M3 = Table(64, code => Decode(code, 2, 3, bias: 1));
    private static readonly float[] E3M2 = Table(64, code => Decode(code, 3, 2, bias: 3));

    /// <summary>E4M3 without infinities: up to 448, NaN 0x7f and 0xff.</summary>
    public static float FromE4M3(byte code) => E4M3[code];

    /// <summary>E5M2: up to 57344, infinities 0x7c and 0xfc, NaN above.</summary>
    public static float FromE5M2(byte code) => E5M2[code];

    /// <summary>E4M3 FNUZ: up to 240, NaN 0x80.</summary>
    public static float FromE4M3Fnuz(byte code) => E4M3Fnuz[code];

    /// <summary>E5M2 FNUZ: up to 57344, NaN 0x80.</summary>
    public static float FromE5M2Fnuz(byte code) => E5M2Fnuz[code];

    /// <summary>E8M0: 2^(code - 127), NaN 0xff; code 0 is 2^-127, a subnormal.</summary>
    public static float FromE8M0(byte code) => E8M0[code];

    /// <summary>E2M1, four bits: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives. Higher bits of the byte are ignored.</summary>
    public static float FromE2M1(byte code) => E2M1[code & 0xf];

    /// <summary>E2M3, six bits: up to 7.5. Higher bits of the byte are ignored.</summary>
    public static float FromE2M3(byte code) => E2M3[code & 0x3f];

    /// <summary>E3M2, six bits: up to 28. Higher bits of the byte are ignored.</summary>
    public static float FromE3M2(byte code) => E3M2[code & 0x3f];

    /// <summary>The nearest E4M3, ties to even; what is beyond 448, infinities too, becomes 448, as in PyTorch from 2.13 on.</summary>
    public static byte ToE4M3(float value) => Encode(value, 3, bias: 7, largest: E4M3Largest, beyond: E4M3Largest, nan: E4M3NaN);

    /// <summary>The nearest E5M2, ties to even; what rounds beyond 57344 becomes infinite.</summary>
    public static byte ToE5M2(float value) => Encode(value, 2, bias: 15, largest: E5M2Infinity - 1, beyond: E5M2Infinity, nan: E5M2NaN);

    private static float[] Table(int codes, Func<int, float> decode) => [.. Enumerable.Range(0, codes).Select(decode)];

    private static float Decode(int code, int exponentBits, int mantissaBits, int bias)
    {
        int mantissa = code & ((1 << mantissaBits) - 1);
        int exponent = (code >> mantissaBits) & ((1 << exponentBits) - 1);
        bool isNegative = code >> (mantissaBits + exponentBits) != 0;

        float magnitude = exponent == 0
            ? MathF.ScaleB(mantissa, 1 - bias - mantissaBits)
            : MathF.ScaleB(mantissa + (1 << mantissaBits), exponent - bias - mantissaBits);
        return isNegative ? -magnitude : magnitude;
    }

    private static byte Encode(float value, int mantissaBits, int bias, int largest, int beyond, int nan)
    {
        int sign = float.IsNegative(value) ? 0x80 : 0;
        double magnitude = Math.Abs((double)value);
        if (double.IsNaN(magnitude)) return (byte)(sign | nan);
        if (double.IsInfinity(magnitude)) return (byte)(sign | beyond);

        // the mantissa with its leading one; where it rounds up to the next power of two, the carry moves the exponent on
        int exponent = magnitude == 0 ? 1 - bias : Math.Max(Math.ILogB(magnitude), 1 - bias);
        double mantissa = Math.Round(Math.ScaleB(magnitude, mantissaBits - exponent), MidpointRounding.ToEven);
        double code = (double)((exponent + bias - 1) << mantissaBits) + mantissa;
        return (byte)(sign | (code > largest ? beyond : (int)code));
    }
}
