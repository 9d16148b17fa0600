using System.Runtime.CompilerServices;

namespace MoeSharp;

/// <summary>An activation of gated experts on vectors: h = f(gate, up), and its derivatives. As a type, so that loops over it have no calls.</summary>
internal interface IGatedActivation
{
    /// <summary>f(gate, up).</summary>
    static abstract TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>;

    /// <summary>∂f/∂gate and ∂f/∂up.</summary>
    static abstract (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>;
}

/// <summary>silu(gate) · up.</summary>
internal readonly struct SiluActivation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes> => gate / (TLanes.Create(1) + LaneMath.Exp(-gate)) * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var sigmoid = LaneMath.Sigmoid(gate);
        var silu = gate * sigmoid;
        return ((sigmoid + silu * (TLanes.Create(1) - sigmoid)) * up, silu);
    }
}

/// <summary>gelu(gate) · up, gelu(z) = z · Φ(z).</summary>
internal readonly struct GeluActivation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes> => gate * Normal(gate).Distribution * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var (distribution, density) = Normal(gate);
        return ((distribution + gate * density) * up, gate * distribution);
    }

    /// <summary>Φ to 1e-7 (Abramowitz and Stegun 1964, 7.1.26), and its derivative.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TLanes Distribution, TLanes Density) Normal<TLanes>(TLanes z)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var exponential = LaneMath.Exp(z * z * TLanes.Create(-0.5f));
        var t = TLanes.Create(1) / TLanes.MultiplyAdd(TLanes.Abs(z), TLanes.Create(0.3275911f * 0.70710678f), TLanes.Create(1));
        var p = TLanes.Create(1.061405429f);
        p = TLanes.MultiplyAdd(p, t, TLanes.Create(-1.453152027f));
        p = TLanes.MultiplyAdd(p, t, TLanes.Create(1.421413741f));
        p = TLanes.MultiplyAdd(p, t, TLanes.Create(-0.284496736f));
        p = TLanes.MultiplyAdd(p, t, TLanes.Create(0.254829592f));
        var tail = p * t * exponential * TLanes.Create(0.5f);       // 1 - Φ(|z|)
        var distribution = TLanes.Select(TLanes.GreaterThan(TLanes.Create(0), z), tail, TLanes.Create(1) - tail);
        return (distribution, exponential * TLanes.Create(0.3989422804f));
    }
}

/// <summary>gelu(gate) · up with gelu(z) = z · sigmoid(2u), u = √(2/π) · (z + 0.044715 z³): the tanh form.</summary>
internal readonly struct GeluTanhActivation : IGatedActivation
{
    private const float Twice = 1.5957691216f, Cubic = 0.044715f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes> => gate * LaneMath.Sigmoid(Inner(gate)) * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var sigmoid = LaneMath.Sigmoid(Inner(gate));
        var inner = TLanes.Create(Twice) + gate * gate * TLanes.Create(3 * Twice * Cubic);
        var slope = sigmoid + gate * sigmoid * (TLanes.Create(1) - sigmoid) * inner;
        return (slope * up, gate * sigmoid);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Inner<TLanes>(TLanes z)
        where TLanes : struct, IFloatLanes<TLanes> => z * TLanes.MultiplyAdd(z * z, TLanes.Create(Twice * Cubic), TLanes.Create(Twice));
}

/// <summary>max(gate, 0) · up.</summary>
internal readonly struct ReluActivation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes> => TLanes.Max(gate, TLanes.Create(0)) * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes> =>
        (TLanes.GreaterThan(gate, TLanes.Create(0)) & up, TLanes.Max(gate, TLanes.Create(0)));
}

/// <summary>max(gate, 0)² · up.</summary>
internal readonly struct Relu2Activation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var positive = TLanes.Max(gate, TLanes.Create(0));
        return positive * positive * up;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var positive = TLanes.Max(gate, TLanes.Create(0));
        return ((positive + positive) * up, positive * positive);
    }
}

/// <summary>(up + 1) · gate · sigmoid(1.702 gate).</summary>
internal readonly struct GptOssActivation : IGatedActivation
{
    private const float Alpha = 1.702f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes> => (up + TLanes.Create(1)) * gate * LaneMath.Sigmoid(gate * TLanes.Create(Alpha));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TLanes Gate, TLanes Up) Slopes<TLanes>(TLanes gate, TLanes up)
        where TLanes : struct, IFloatLanes<TLanes>
    {
        var sigmoid = LaneMath.Sigmoid(gate * TLanes.Create(Alpha));
        var glu = gate * sigmoid;
        return ((sigmoid + glu * (TLanes.Create(1) - sigmoid) * TLanes.Create(Alpha)) * (up + TLanes.Create(1)), glu);
    }
}
