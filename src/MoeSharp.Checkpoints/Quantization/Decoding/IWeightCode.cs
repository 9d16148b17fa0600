using System.Runtime.CompilerServices;

namespace MoeSharp.Checkpoints;

/// <summary>What a stored code of 4 or 8 bits means before it is scaled: once for a code, obviously, and once for a vector of codes.</summary>
internal interface IWeightCode
{
    /// <summary>Bits of a code, 4 or 8; of a byte with two codes the lower half comes first.</summary>
    static abstract int Bits { get; }

    /// <summary>The value of a code.</summary>
    static abstract float Value(byte code);

    /// <summary>The values of codes, one in each lane, as floats: to the same bits.</summary>
    static abstract TLanes Values<TLanes>(TLanes codes)
        where TLanes : struct, IWordLanes<TLanes>;
}

/// <summary>E4M3 floats.</summary>
internal readonly struct E4M3Code : IWeightCode
{
    public static int Bits => 8;

    public static float Value(byte code) => SmallFloat.FromE4M3(code);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Values<TLanes>(TLanes codes)
        where TLanes : struct, IWordLanes<TLanes>
    {
        var magnitude = codes & TLanes.Create(0x7f);
        var isNaN = TLanes.LessThan(TLanes.Create(0x7e), magnitude);
        return SmallFloatLanes.Widen(codes, magnitude, bits: 8, mantissaBits: 3, bias: 7) | (isNaN & TLanes.Create(SmallFloatLanes.NaN));
    }
}

/// <summary>E5M2 floats.</summary>
internal readonly struct E5M2Code : IWeightCode
{
    public static int Bits => 8;

    public static float Value(byte code) => SmallFloat.FromE5M2(code);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Values<TLanes>(TLanes codes)
        where TLanes : struct, IWordLanes<TLanes>
    {
        // infinities and NaN keep their mantissa and get the exponent of float32's
        var magnitude = codes & TLanes.Create(0x7f);
        var isSpecial = TLanes.LessThan(TLanes.Create(0x7b), magnitude);
        return SmallFloatLanes.Widen(codes, magnitude, bits: 8, mantissaBits: 2, bias: 15) | (isSpecial & TLanes.Create(SmallFloatLanes.Infinity));
    }
}

/// <summary>E2M1 floats, two in a byte.</summary>
internal readonly struct E2M1Code : IWeightCode
{
    public static int Bits => 4;

    public static float Value(byte code) => SmallFloat.FromE2M1(code);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Values<TLanes>(TLanes codes)
        where TLanes : struct, IWordLanes<TLanes> =>
        SmallFloatLanes.Widen(codes, codes & TLanes.Create(7), bits: 4, mantissaBits: 1, bias: 1);
}

/// <summary>Signed bytes.</summary>
internal readonly struct SignedByteCode : IWeightCode
{
    public static int Bits => 8;

    public static float Value(byte code) => (sbyte)code;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Values<TLanes>(TLanes codes)
        where TLanes : struct, IWordLanes<TLanes> =>
        TLanes.ToSingle((codes << 24) >> 24);
}

/// <summary>The arithmetic that all small floats share.</summary>
internal static class SmallFloatLanes
{
    public const int Infinity = 0x7f800000, NaN = 0x7fc00000;

    /// <summary>
    /// The exponent moves to its place and gets float32's bias. That is all for normal numbers; of a subnormal, whose exponent is 0, it
    /// makes v = 2^-bias · (1 + m/2^M) where 2^(1-bias) · m/2^M is wanted, which is 2v - 2^(1-bias), exactly: no float32 subnormal, which
    /// processors are slow with, comes up on the way.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]      // with numbers in the place of bits and bias
    public static TLanes Widen<TLanes>(TLanes codes, TLanes magnitude, int bits, int mantissaBits, int bias)
        where TLanes : struct, IWordLanes<TLanes>
    {
        var normal = (magnitude << (23 - mantissaBits)) + TLanes.Create((127 - bias) << 23);
        var subnormal = TLanes.Add(TLanes.Add(normal, normal), TLanes.Create(((128 - bias) << 23) | int.MinValue));
        var value = TLanes.Select(TLanes.LessThan(magnitude, TLanes.Create(1 << mantissaBits)), subnormal, normal);

        return value | ((codes << (32 - bits)) & TLanes.Create(int.MinValue));
    }
}
