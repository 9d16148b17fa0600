using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeSharp.Cli;

/// <summary>
/// The most multiplications and additions per second: chains of fused multiply-adds in registers, more of them than the instruction takes
/// cycles, on all threads.
/// </summary>
internal sealed unsafe class PeakLoop
{
    private const int Parts = 64;           // tasks of about 0.1 ms: a thread that comes late costs little
    private const int Chains = 12;          // 2 per cycle and 4 cycles each need 8; a processor with 16 registers has no more
    private const int Steps = 20_000;

    private readonly ProductType _type;
    private float _sink;        // or the sums would not be computed

    public PeakLoop(ProductType type) => _type = type;

    /// <summary>Whether the processor multiplies the type.</summary>
    public static bool IsSupported(ProductType type) => type == ProductType.Fp32 || BFloat16Chains.Address != 0;

    /// <summary>Flops per second, now.</summary>
    public double Measure(WorkerPool pool)
    {
        long start = Stopwatch.GetTimestamp();
        pool.ForEach(Parts, _ => RunPart());
        return Parts * FlopsOfPart / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private double FlopsOfPart => _type == ProductType.Bf16
        ? BFloat16Chains.FlopsPerStep * (double)Steps
        : 2.0 * Chains * Steps * (Vector512.IsHardwareAccelerated ? Vector512<float>.Count : Vector256<float>.Count);

    private void RunPart()
    {
        if (_type == ProductType.Bf16) ((delegate* unmanaged<long, void>)BFloat16Chains.Address)(Steps);
        else Volatile.Write(ref _sink, Vector512.IsHardwareAccelerated ? Chain512(Steps) : Chain256(Steps));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Chain512(int steps)
    {
        Vector512<float> a = Vector512.Create(0.75f), b = Vector512.Create(0.25f);      // every sum tends to 1
        Vector512<float> s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;
        for (int i = 0; i < steps; i++)
        {
            s0 = Vector512.FusedMultiplyAdd(s0, a, b);
            s1 = Vector512.FusedMultiplyAdd(s1, a, b);
            s2 = Vector512.FusedMultiplyAdd(s2, a, b);
            s3 = Vector512.FusedMultiplyAdd(s3, a, b);
            s4 = Vector512.FusedMultiplyAdd(s4, a, b);
            s5 = Vector512.FusedMultiplyAdd(s5, a, b);
            s6 = Vector512.FusedMultiplyAdd(s6, a, b);
            s7 = Vector512.FusedMultiplyAdd(s7, a, b);
            s8 = Vector512.FusedMultiplyAdd(s8, a, b);
            s9 = Vector512.FusedMultiplyAdd(s9, a, b);
            s10 = Vector512.FusedMultiplyAdd(s10, a, b);
            s11 = Vector512.FusedMultiplyAdd(s11, a, b);
        }

        return Vector512.Sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Chain256(int steps)
    {
        Vector256<float> a = Vector256.Create(0.75f), b = Vector256.Create(0.25f);
        Vector256<float> s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;
        for (int i = 0; i < steps; i++)
        {
            s0 = Vector256.FusedMultiplyAdd(s0, a, b);
            s1 = Vector256.FusedMultiplyAdd(s1, a, b);
            s2 = Vector256.FusedMultiplyAdd(s2, a, b);
            s3 = Vector256.FusedMultiplyAdd(s3, a, b);
            s4 = Vector256.FusedMultiplyAdd(s4, a, b);
            s5 = Vector256.FusedMultiplyAdd(s5, a, b);
            s6 = Vector256.FusedMultiplyAdd(s6, a, b);
            s7 = Vector256.FusedMultiplyAdd(s7, a, b);
            s8 = Vector256.FusedMultiplyAdd(s8, a, b);
            s9 = Vector256.FusedMultiplyAdd(s9, a, b);
            s10 = Vector256.FusedMultiplyAdd(s10, a, b);
            s11 = Vector256.FusedMultiplyAdd(s11, a, b);
        }

        return Vector256.Sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11);
    }
}
