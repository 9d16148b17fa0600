using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeSharp;

/// <summary>e^x of float32 vectors; a value has the same bits in every lane.</summary>
internal static class Exponential
{
    // adding the rounder leaves the nearest whole number, and a float's exponent bias, in the lowest bits
    private const float Rounder = 12_582_912f + 127, ToPower = 1.44269504f, Ln2High = -0.693359375f, Ln2Low = 2.12194440e-4f, Lowest = -88;      // at the lowest the power is zero
    private const float C7 = 1.9875691500e-4f, C6 = 1.3981999507e-3f, C5 = 8.3334519073e-3f, C4 = 4.1665795894e-2f, C3 = 1.6666665459e-1f, C2 = 5.0000001201e-1f;

    /// <summary>
    /// e^x to about one unit in the last place: 2^n · P(r) with x = n · ln 2 + r (Cody and Waite 1980; the polynomial is Cephes' expf). Zero
    /// where n is below -126, the least exponent of a normal number.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x)
    {
        var highest = Vector512.Create(88.3f);
        return Select(Vector512.GreaterThan(x, highest), Vector512.Create(float.PositiveInfinity), OfBounded(Vector512.MinNative(x, highest)));
    }

    /// <summary>exp(value - max), and 1 where both are equal.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Below(Vector512<float> value, Vector512<float> max) => OfBounded(Difference(value, max));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Difference(Vector512<float> value, Vector512<float> max) =>
        Sse.IsSupported
            ? Vector512.MinNative(value - max, Vector512<float>.Zero)       // of a number and none, the second
            : Vector512.ConditionalSelect(Vector512.Equals(value, max), Vector512<float>.Zero, value - max);

    // of what does not overflow
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> OfBounded(Vector512<float> x)
    {
        x = Vector512.MaxNative(x, Vector512.Create(Lowest));
        var rounded = Vector512.FusedMultiplyAdd(x, Vector512.Create(ToPower), Vector512.Create(Rounder));
        var n = rounded - Vector512.Create(Rounder);
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(Ln2High), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(Ln2Low), r);

        var p = Vector512.Create(C7);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C6));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C5));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C4));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C3));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C2));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        return p * Power(rounded);
    }

    /// <summary>
    /// <see cref="Below(Vector512{float}, Vector512{float})"/> of two vectors, in place and step by step: every step waits for the one
    /// before it, and a processor looks ahead by less than one exponential.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Below(ref Vector512<float> a, ref Vector512<float> b, Vector512<float> max)
    {
        var lowest = Vector512.Create(Lowest);
        var (x, y) = (Vector512.MaxNative(Difference(a, max), lowest), Vector512.MaxNative(Difference(b, max), lowest));
        var (log, rounder) = (Vector512.Create(ToPower), Vector512.Create(Rounder));
        var m = Vector512.FusedMultiplyAdd(x, log, rounder);
        var n = Vector512.FusedMultiplyAdd(y, log, rounder);
        var ln = Vector512.Create(Ln2High);
        var r = Vector512.FusedMultiplyAdd(m - rounder, ln, x);
        var s = Vector512.FusedMultiplyAdd(n - rounder, ln, y);
        ln = Vector512.Create(Ln2Low);
        r = Vector512.FusedMultiplyAdd(m - rounder, ln, r);
        s = Vector512.FusedMultiplyAdd(n - rounder, ln, s);

        var (highest, next) = (Vector512.Create(C7), Vector512.Create(C6));
        var p = Vector512.FusedMultiplyAdd(highest, r, next);
        var q = Vector512.FusedMultiplyAdd(highest, s, next);
        next = Vector512.Create(C5);
        p = Vector512.FusedMultiplyAdd(p, r, next);
        q = Vector512.FusedMultiplyAdd(q, s, next);
        next = Vector512.Create(C4);
        p = Vector512.FusedMultiplyAdd(p, r, next);
        q = Vector512.FusedMultiplyAdd(q, s, next);
        next = Vector512.Create(C3);
        p = Vector512.FusedMultiplyAdd(p, r, next);
        q = Vector512.FusedMultiplyAdd(q, s, next);
        next = Vector512.Create(C2);
        p = Vector512.FusedMultiplyAdd(p, r, next);
        q = Vector512.FusedMultiplyAdd(q, s, next);
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        q = Vector512.FusedMultiplyAdd(q, s * s, s + Vector512<float>.One);
        a = p * Power(m);
        b = q * Power(n);
    }

    // the exponent's bits are the lowest of what was rounded
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Power(Vector512<float> rounded) => (rounded.AsInt32() << 23).AsSingle();

    /// <summary>Where <paramref name="condition"/> has all bits set, a lane of <paramref name="value"/>; where it has none, of <paramref name="other"/>.</summary>
    /// <remarks>One instruction of either width; what the runtime has instead for half a vector, not knowing where the condition comes from, is five.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Select(Vector512<float> condition, Vector512<float> value, Vector512<float> other)
    {
        if (Vector512.IsHardwareAccelerated || !Avx.IsSupported) return Vector512.ConditionalSelect(condition, value, other);

        return Vector512.Create(
            Avx.BlendVariable(other.GetLower(), value.GetLower(), condition.GetLower()),
            Avx.BlendVariable(other.GetUpper(), value.GetUpper(), condition.GetUpper()));
    }
}
