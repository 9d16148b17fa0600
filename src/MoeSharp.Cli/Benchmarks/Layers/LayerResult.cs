namespace MoeSharp.Cli;

/// <summary>One engine on one case.</summary>
/// <param name="Suite">balanced or zipf.</param>
/// <param name="Shape">The name of the shape.</param>
/// <param name="Tokens">The number of tokens.</param>
/// <param name="Dtype">fp32 or bf16.</param>
/// <param name="Pass">forward or train.</param>
/// <param name="Engine">The name of the engine.</param>
/// <param name="MedianMs">The median of the rounds' times, in milliseconds.</param>
/// <param name="BestMs">The best of them.</param>
/// <param name="PeakShare">The median over rounds of the flops per second over the peak of the round; null where the processor has no such instruction.</param>
/// <param name="ReadShare">The median over rounds of the bytes of active weights per second over a plain read in the round.</param>
/// <param name="Slowdown">The median over rounds of this engine's time over moesharp's.</param>
/// <param name="Rounds">The number of rounds that count; null in reports of old.</param>
internal sealed record LayerResult(
    string Suite, string Shape, int Tokens, string Dtype, string Pass, string Engine, double MedianMs, double BestMs, double? PeakShare, double ReadShare, double Slowdown, int? Rounds);

/// <summary>What a machine can do at most, measured in every round.</summary>
/// <param name="Fp32Gflops">Fused multiply-adds of float32 in registers, all threads; null when not measured.</param>
/// <param name="Bf16Gflops">The same of bfloat16 pairs; null where there is no such instruction.</param>
/// <param name="ReadGbs">Reading memory from end to end, in gigabytes per second.</param>
internal sealed record LayerLimits(Limit? Fp32Gflops, Limit? Bf16Gflops, Limit ReadGbs);

/// <summary>A rate over all rounds.</summary>
internal sealed record Limit(double Median, double Best)
{
    /// <summary>The limit of rates, or null of none.</summary>
    public static Limit? Of(IReadOnlyCollection<double> rates, double unit) => rates.Count == 0 ? null : new(PairedTimes.MedianOf([.. rates]) / unit, rates.Max() / unit);
}

/// <summary>The JSON of <c>moesharp bench layer --json</c>.</summary>
internal sealed record LayerBenchmarkReport(int Version, BenchmarkMachine Machine, LayerLimits Limits, IReadOnlyList<LayerResult> Results);
