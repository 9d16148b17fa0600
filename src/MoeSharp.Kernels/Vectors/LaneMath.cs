using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>Functions of vectors of any width.</summary>
internal static class LaneMath
{
    /// <summary>
    /// e^x to about one unit in the last place: 2^n · P(r) with x = n · ln 2 + r (Cody and Waite 1980; the polynomial is Cephes' expf). Zero
    /// below the smallest normal number, infinite above the largest, NaN for NaN.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Exp<TLanes>(TLanes x)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        const float Lowest = -87.3f, Highest = 88.3f;
        var bounded = TLanes.Min(TLanes.Max(x, TLanes.Create(Lowest)), TLanes.Create(Highest));
        var n = TLanes.Floor(TLanes.MultiplyAdd(bounded, TLanes.Create(1.44269504f), TLanes.Create(0.5f)));
        var r = TLanes.MultiplyAdd(n, TLanes.Create(-0.693359375f), bounded);
        r = TLanes.MultiplyAdd(n, TLanes.Create(2.12194440e-4f), r);

        var p = TLanes.Create(1.9875691500e-4f);
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1.3981999507e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(8.3334519073e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(4.1665795894e-2f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1.6666665459e-1f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(5.0000001201e-1f));
        p = TLanes.MultiplyAdd(p, r * r, r + TLanes.Create(1));

        var result = TLanes.Select(TLanes.GreaterThan(x, TLanes.Create(Highest)), TLanes.Create(float.PositiveInfinity), p * TLanes.PowerOfTwo(n));
        return TLanes.AndNot(result, TLanes.GreaterThan(TLanes.Create(Lowest), x));
    }

    /// <summary>1 / (1 + e^-z).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Sigmoid<TLanes>(TLanes z)
        where TLanes : struct, IFloatLanes<TLanes> => TLanes.Create(1) / (TLanes.Create(1) + Exp(-z));
}
