using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp;

/// <summary>An activation of gated experts on vectors: h = f(gate, up), and its derivatives. As a type, so that loops over it have no calls.</summary>
internal interface IGatedActivation
{
    /// <summary>f(gate, up).</summary>
    static abstract Vector512<float> Value(Vector512<float> gate, Vector512<float> up);

    /// <summary>∂f/∂gate and ∂f/∂up.</summary>
    static abstract (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up);
}

/// <summary>silu(gate) · up.</summary>
internal readonly struct SiluActivation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up) => gate / (Vector512<float>.One + RowMath.Exp(-gate)) * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up)
    {
        var sigmoid = RowMath.Sigmoid(gate);
        var silu = gate * sigmoid;
        return ((sigmoid + silu * (Vector512<float>.One - sigmoid)) * up, silu);
    }
}

/// <summary>gelu(gate) · up, gelu(z) = z · Φ(z).</summary>
internal readonly struct GeluActivation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up) => gate * Normal(gate).Distribution * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up)
    {
        var (distribution, density) = Normal(gate);
        return ((distribution + gate * density) * up, gate * distribution);
    }

    /// <summary>Φ to 1e-7 (Abramowitz and Stegun 1964, 7.1.26), and its derivative.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> Distribution, Vector512<float> Density) Normal(Vector512<float> z)
    {
        var exponential = RowMath.Exp(z * z * Vector512.Create(-0.5f));
        var t = Vector512<float>.One / Vector512.FusedMultiplyAdd(Vector512.Abs(z), Vector512.Create(0.3275911f * 0.70710678f), Vector512<float>.One);
        var p = Vector512.Create(1.061405429f);
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(-1.453152027f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(1.421413741f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(-0.284496736f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(0.254829592f));
        var tail = p * t * exponential * Vector512.Create(0.5f);       // 1 - Φ(|z|)
        var distribution = Vector512.ConditionalSelect(Vector512.LessThan(z, Vector512<float>.Zero), tail, Vector512<float>.One - tail);
        return (distribution, exponential * Vector512.Create(0.3989422804f));
    }
}

/// <summary>gelu(gate) · up with gelu(z) = z · sigmoid(2u), u = √(2/π) · (z + 0.044715 z³): the tanh form.</summary>
internal readonly struct GeluTanhActivation : IGatedActivation
{
    private const float Twice = 1.5957691216f, Cubic = 0.044715f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up) => gate * RowMath.Sigmoid(Inner(gate)) * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up)
    {
        var sigmoid = RowMath.Sigmoid(Inner(gate));
        var inner = Vector512.Create(Twice) + gate * gate * Vector512.Create(3 * Twice * Cubic);
        var slope = sigmoid + gate * sigmoid * (Vector512<float>.One - sigmoid) * inner;
        return (slope * up, gate * sigmoid);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Inner(Vector512<float> z) => z * Vector512.FusedMultiplyAdd(z * z, Vector512.Create(Twice * Cubic), Vector512.Create(Twice));
}

/// <summary>max(gate, 0) · up.</summary>
internal readonly struct ReluActivation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up) => Vector512.Max(gate, Vector512<float>.Zero) * up;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up) =>
        (Vector512.GreaterThan(gate, Vector512<float>.Zero) & up, Vector512.Max(gate, Vector512<float>.Zero));
}

/// <summary>max(gate, 0)² · up.</summary>
internal readonly struct Relu2Activation : IGatedActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up)
    {
        var positive = Vector512.Max(gate, Vector512<float>.Zero);
        return positive * positive * up;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up)
    {
        var positive = Vector512.Max(gate, Vector512<float>.Zero);
        return ((positive + positive) * up, positive * positive);
    }
}

/// <summary>(up + 1) · gate · sigmoid(1.702 gate).</summary>
internal readonly struct GptOssActivation : IGatedActivation
{
    private const float Alpha = 1.702f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> gate, Vector512<float> up) => (up + Vector512<float>.One) * gate * RowMath.Sigmoid(gate * Vector512.Create(Alpha));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Gate, Vector512<float> Up) Slopes(Vector512<float> gate, Vector512<float> up)
    {
        var sigmoid = RowMath.Sigmoid(gate * Vector512.Create(Alpha));
        var glu = gate * sigmoid;
        return ((sigmoid + glu * (Vector512<float>.One - sigmoid) * Vector512.Create(Alpha)) * (up + Vector512<float>.One), glu);
    }
}
